// Product with an affine weight through byte dot products (AVX-512 VNNI): the
// fast path, within the AVX3 target.
#if defined(ZMLX_PRODUCT_AFFINE_FIXED_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ZMLX_PRODUCT_AFFINE_FIXED_INL
#undef ZMLX_PRODUCT_AFFINE_FIXED_INL
#else
#define ZMLX_PRODUCT_AFFINE_FIXED_INL
#endif

#include <hwy/highway.h>

#if HWY_TARGET == HWY_AVX3

#include <immintrin.h>

#include <algorithm>
#include <cmath>

#include "zmlx/backend/stages/product/formats.h"

HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR_AVX3 ",avx512vnni")
namespace zmlx::backend::stages::HWY_NAMESPACE {

/// The byte dot products are not part of the target: asked of the processor.
inline bool can_dot_bytes() {
  static const bool answer = __builtin_cpu_supports("avx512vnni") != 0;
  return answer;
}

// Each group of x is taken as a scale times integers of 24 bits, i.e. rounded
// once, relative to the group's largest number, as finely as a float32 is. The
// integers are written in three signed digits of 8 bits, and weights of at most
// 8 bits are multiplied with each digit by one instruction for 64 of them. The
// sums are exact integers until the group's scales are applied in float32, so
// the error is that of a float32 dot product, at a third of its instructions.

inline constexpr int64_t kBlockBytes = 64; // of weights
inline constexpr int64_t kRunGroups = 16; // groups that share a scale vector
inline constexpr int kDigits = 3;
// Three signed digits hold up to 0x7f7f7f; the rest is room for rounding.
inline constexpr float kLargest = 0x7f7f00;
// Below this, the scale of a group would leave the normal floats.
inline constexpr float kSmallest = 1e-30f;
// How far ahead of use weights are asked for, and scales (with their biases).
inline constexpr int64_t kAhead = 4096;
inline constexpr int64_t kScalesAhead = 512;

/// A prepared row: for each group (padded to whole runs) the scale of x, then
/// likewise the sum of x; then the digits [block][digit][plane][64], plane p
/// holding the numbers that lie at bits p * kBits of each byte of weights.
struct FixedShape {
  int64_t planes, block, blocks, groups, padded_groups;

  explicit FixedShape(const Format& format, int64_t width) {
    planes = 8 / format.bits;
    block = kBlockBytes * planes;
    blocks = (width + block - 1) / block;
    groups = width / format.group_size;
    padded_groups = (groups + kRunGroups - 1) / kRunGroups * kRunGroups;
  }
};

/// Writes the digits of the integers of one group, plane by plane.
template <int kPlanes>
void write_digits(
    const float* x,
    int64_t first,
    int64_t size,
    float inverse,
    int8_t* digits) {
  constexpr int64_t kBlock = kBlockBytes * kPlanes;
  const __m512 factor = _mm512_set1_ps(inverse);
  const __m512i half = _mm512_set1_epi32(128);
  const __m512i lane =
      _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  constexpr int kShift = kPlanes == 1 ? 0 : kPlanes == 2 ? 1 : 2;
  // Byte i of plane p holds number i * planes + p. 16 numbers give 16 / planes
  // bytes of each plane, brought together first.
  const __m512i order = _mm512_or_si512(
      _mm512_slli_epi32(
          _mm512_and_si512(lane, _mm512_set1_epi32(16 / kPlanes - 1)), kShift),
      _mm512_srli_epi32(lane, 4 - kShift));
  for (int64_t k = first; k < first + size; k += 16) {
    __m512i value =
        _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + k), factor));
    value = _mm512_permutexvar_epi32(order, value);
    const int64_t block = k / kBlock;
    int8_t* to =
        digits + block * kDigits * kBlock + (k - block * kBlock) / kPlanes;
    for (int digit = kDigits - 1; digit >= 0; --digit) {
      HWY_ALIGN int8_t bytes[16];
      _mm_store_si128(
          reinterpret_cast<__m128i*>(bytes), _mm512_cvtepi32_epi8(value));
      for (int p = 0; p < kPlanes; ++p) {
        std::memcpy(
            to + (digit * kPlanes + p) * kBlockBytes,
            bytes + p * (16 / kPlanes),
            16 / kPlanes);
      }
      value = _mm512_srai_epi32(_mm512_add_epi32(value, half), 8);
    }
  }
}

/// False when x cannot be written so: it is not finite, or a group is tiny.
template <int kBits>
bool prepare_fixed(
    const Format& format,
    const float* x,
    int64_t width,
    float* prepared) {
  constexpr int kPlanes = 8 / kBits;
  const FixedShape shape(format, width);
  float* scales = prepared;
  float* sums = prepared + shape.padded_groups;
  int8_t* digits = reinterpret_cast<int8_t*>(sums + shape.padded_groups);
  for (int64_t g = shape.groups; g < shape.padded_groups; ++g) {
    scales[g] = sums[g] = 0;
  }
  if (shape.blocks * shape.block != width) {
    const int64_t bytes = shape.block * kDigits;
    std::fill_n(digits + (shape.blocks - 1) * bytes, bytes, int8_t{0});
  }
  const int64_t size = format.group_size;
  for (int64_t g = 0; g < shape.groups; ++g) {
    __m512 most = _mm512_setzero_ps();
    __m512 sum = _mm512_setzero_ps();
    for (int64_t k = g * size; k < (g + 1) * size; k += 16) {
      const __m512 v = _mm512_loadu_ps(x + k);
      most = _mm512_max_ps(_mm512_abs_ps(v), most);
      sum = _mm512_add_ps(sum, v);
    }
    // max ignores NaN, the sum does not.
    const float largest = _mm512_reduce_max_ps(most);
    sums[g] = _mm512_reduce_add_ps(sum);
    if (!std::isfinite(sums[g]) || !std::isfinite(largest) ||
        (largest != 0 && largest < kSmallest)) {
      return false;
    }
    scales[g] = largest / kLargest;
    write_digits<kPlanes>(
        x, g * size, size, largest == 0 ? 0 : kLargest / largest, digits);
  }
  return true;
}

HWY_INLINE __m512 load_scales(const float* p, __mmask16 valid) {
  return _mm512_maskz_loadu_ps(valid, p);
}

HWY_INLINE __m512 load_scales(const hwy::float16_t* p, __mmask16 valid) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(valid, p));
}

HWY_INLINE __m512 load_scales(const hwy::bfloat16_t* p, __mmask16 valid) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(
      _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(valid, p)), 16));
}

/// The numbers of plane p, each in its byte.
template <int kBits>
HWY_INLINE __m512i plane_of(__m512i bytes, int p) {
  if constexpr (kBits == 8) {
    return bytes;
  } else {
    const __m512i mask = _mm512_set1_epi8((1 << kBits) - 1);
    return _mm512_and_si512(_mm512_srli_epi16(bytes, p * kBits), mask);
  }
}

template <int kBits>
using Digits = __m512i[kDigits * (8 / kBits)];

template <int kBits>
HWY_INLINE void load_digits(const std::byte* x, Digits<kBits>& digits) {
  for (int i = 0; i < kDigits * 8 / kBits; ++i) {
    digits[i] = _mm512_load_si512(x + i * kBlockBytes);
  }
}

/// The first half of a block, twice.
template <int kBits>
HWY_INLINE void load_half_digits(const std::byte* x, Digits<kBits>& digits) {
  for (int i = 0; i < kDigits * 8 / kBits; ++i) {
    digits[i] = _mm512_broadcast_i64x4(_mm256_load_si256(
        reinterpret_cast<const __m256i*>(x + i * kBlockBytes)));
  }
}

/// In each lane, the dot product of its numbers with the digits of x.
template <int kBits>
HWY_INLINE __m512
dot_block(const __m512i* numbers, const Digits<kBits>& digits) {
  constexpr int kPlanes = 8 / kBits;
  __m512i sum[kDigits];
  for (int digit = 0; digit < kDigits; ++digit) {
    // Below 8 bits the whole sum fits 32 bits: digits follow each other.
    sum[digit] = digit == 0 || (kBits == 8 && digit == 1)
        ? _mm512_setzero_si512()
        : _mm512_slli_epi32(sum[digit - 1], 8);
    for (int p = 0; p < kPlanes; ++p) {
      sum[digit] = _mm512_dpbusd_epi32(
          sum[digit], numbers[p], digits[digit * kPlanes + p]);
    }
  }
  const __m512 low = _mm512_cvtepi32_ps(sum[2]);
  if constexpr (kBits == 8) {
    return _mm512_fmadd_ps(
        _mm512_cvtepi32_ps(sum[0]), _mm512_set1_ps(0x1p16f), low);
  } else {
    return low;
  }
}

/// The sum of the lanes of each, in one order whatever its place.
HWY_INLINE __m128 sums_of_four(__m512 a, __m512 b, __m512 c, __m512 d) {
  const __m512 ab =
      _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  const __m512 cd =
      _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
  const __m512 quarters = _mm512_add_ps(
      _mm512_shuffle_ps(ab, cd, _MM_SHUFFLE(1, 0, 1, 0)),
      _mm512_shuffle_ps(ab, cd, _MM_SHUFFLE(3, 2, 3, 2)));
  const __m256 halves = _mm256_add_ps(
      _mm512_castps512_ps256(quarters), _mm512_extractf32x8_ps(quarters, 1));
  return _mm_add_ps(
      _mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1));
}

/// The sums of R rows of the weight with N rows of x, while they are made.
template <int kBits, typename T, int R, int N>
class FixedSums {
 public:
  FixedSums(
      const Matrix& weight,
      const std::byte* prepared,
      size_t prepared_stride,
      int64_t row)
      : weight_(weight),
        prepared_(prepared),
        prepared_stride_(prepared_stride),
        w_(weight.parts[0].data + row * weight.parts[0].stride),
        scales_(weight.parts[1].data + row * weight.parts[1].stride),
        biases_(weight.parts[2].data + row * weight.parts[2].stride),
        padded_groups_(FixedShape(weight.format, weight.width).padded_groups) {
    for (int r = 0; r < R; ++r) {
      for (int n = 0; n < N; ++n) {
        sum_[r][n] = _mm512_setzero_ps();
      }
    }
    for (int64_t at = 0; at < R * weight.parts[1].stride; at += 64) {
      prefetch(scales_ + at + kScalesAhead);
      prefetch(biases_ + at + kScalesAhead);
    }
  }

  /// Scales from group g on, times those of x; adds the biases.
  HWY_INLINE void begin_run(int64_t g, __mmask16 valid) {
    for (int r = 0; r < R; ++r) {
      const __m512 scales = load_scales(
          reinterpret_cast<const T*>(scales_ + r * weight_.parts[1].stride) + g,
          valid);
      const __m512 biases = load_scales(
          reinterpret_cast<const T*>(biases_ + r * weight_.parts[2].stride) + g,
          valid);
      for (int n = 0; n < N; ++n) {
        const float* x =
            reinterpret_cast<const float*>(prepared_ + n * prepared_stride_) +
            g;
        scale_[r][n] = _mm512_mul_ps(scales, _mm512_load_ps(x));
        sum_[r][n] = _mm512_fmadd_ps(
            biases, _mm512_load_ps(x + padded_groups_), sum_[r][n]);
      }
    }
  }

  /// Adds block b, of which `valid` words are there; `group` says where the
  /// scale of each lane is.
  HWY_INLINE void add_block(int64_t b, __mmask16 valid, __m512i group) {
    __m512i numbers[R][kPlanes];
    for (int r = 0; r < R; ++r) {
      const std::byte* at = w_ + r * weight_.parts[0].stride + b * kBlockBytes;
      prefetch_next();
      split(_mm512_maskz_loadu_epi32(valid, at), numbers[r]);
    }
    for (int n = 0; n < N; ++n) {
      Digits<kBits> digits;
      load_digits<kBits>(digits_at(b, n), digits);
      for (int r = 0; r < R; ++r) {
        sum_[r][n] = _mm512_fmadd_ps(
            _mm512_permutexvar_ps(group, scale_[r][n]),
            dot_block<kBits>(numbers[r], digits),
            sum_[r][n]);
      }
    }
  }

  /// Adds a last block of at most 8 words, two rows in one vector.
  HWY_INLINE void add_half_block(int64_t b, __mmask16 valid, __m512i group) {
    constexpr __mmask16 kLow = 0x00ff;
    constexpr __mmask16 kHigh = 0xff00;
    for (int r = 0; r + 1 < R; r += 2) {
      const std::byte* at = w_ + r * weight_.parts[0].stride + b * kBlockBytes;
      prefetch_next();
      __m512i numbers[kPlanes];
      split(
          _mm512_mask_loadu_epi32(
              _mm512_maskz_loadu_epi32(valid, at),
              static_cast<__mmask16>(valid << 8),
              at + weight_.parts[0].stride - kBlockBytes / 2),
          numbers);
      for (int n = 0; n < N; ++n) {
        Digits<kBits> digits;
        load_half_digits<kBits>(digits_at(b, n), digits);
        const __m512 scale = _mm512_mask_permutexvar_ps(
            _mm512_permutexvar_ps(group, scale_[r][n]),
            kHigh,
            group,
            scale_[r + 1][n]);
        const __m512 dot = dot_block<kBits>(numbers, digits);
        sum_[r][n] = _mm512_mask3_fmadd_ps(scale, dot, sum_[r][n], kLow);
        sum_[r + 1][n] =
            _mm512_mask3_fmadd_ps(scale, dot, sum_[r + 1][n], kHigh);
      }
    }
  }

  HWY_INLINE void store(float* y, int64_t y_stride) const {
    for (int n = 0; n < N; ++n) {
      const __m128 sums = sums_of_four(
          sum_[0][n], sum_[1 % R][n], sum_[2 % R][n], sum_[3 % R][n]);
      _mm_mask_storeu_ps(y + n * y_stride, (1 << R) - 1, sums);
    }
  }

 private:
  static constexpr int kPlanes = 8 / kBits;

  // Inlined by force: as a function of its own it has no effect that the
  // compiler knows of, and its calls would be dropped.
  static HWY_INLINE void prefetch(const std::byte* at) {
    _mm_prefetch(reinterpret_cast<const char*>(at), _MM_HINT_T0);
  }

  /// Rows of a weight follow each other, so whoever reads them in turn may ask
  /// for lines in the order of memory, which the hardware follows better.
  HWY_INLINE void prefetch_next() {
    prefetch(ahead_);
    ahead_ += kBlockBytes;
  }

  static HWY_INLINE void split(__m512i bytes, __m512i* numbers) {
    for (int p = 0; p < kPlanes; ++p) {
      numbers[p] = plane_of<kBits>(bytes, p);
    }
  }

  const std::byte* digits_at(int64_t b, int n) const {
    return prepared_ + n * prepared_stride_ +
        2 * padded_groups_ * sizeof(float) +
        b * kDigits * kPlanes * kBlockBytes;
  }

  const Matrix& weight_;
  const std::byte* prepared_;
  size_t prepared_stride_;
  const std::byte* w_;
  const std::byte* ahead_ = w_ + kAhead;
  const std::byte* scales_;
  const std::byte* biases_;
  int64_t padded_groups_;
  __m512 scale_[R][N];
  __m512 sum_[R][N];
};

/// R rows of the weight with N rows of x.
template <int kBits, typename T, int R, int N>
void fixed_tile(
    const Matrix& weight,
    const std::byte* prepared,
    size_t prepared_stride,
    int64_t row,
    float* y,
    int64_t y_stride) {
  const int64_t size = weight.format.group_size;
  const FixedShape shape(weight.format, weight.width);
  const int64_t run = kRunGroups * size / shape.block; // blocks
  // Where the last block is at most half full, two rows share one vector.
  const int64_t last_words =
      weight.width * kBits / 32 - (shape.blocks - 1) * 16;
  const __mmask16 last_valid = static_cast<__mmask16>((1u << last_words) - 1);
  const bool pairs = R > 1 && last_words <= 8;
  const int64_t whole = shape.blocks - (pairs ? 1 : 0);
  const __m512i lane =
      _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i in_lane = _mm512_set1_epi32(32 / kBits); // numbers
  const __m512i log_size = _mm512_set1_epi32(__builtin_ctzll(size));

  FixedSums<kBits, T, R, N> sums(weight, prepared, prepared_stride, row);
  int64_t b = 0;
  for (int64_t g = 0; g < shape.groups; g += kRunGroups) {
    const int64_t groups = std::min(kRunGroups, shape.groups - g);
    sums.begin_run(g, static_cast<__mmask16>((1u << groups) - 1));
    // The first number of a lane within the run tells its group.
    __m512i number = _mm512_mullo_epi32(lane, in_lane);
    const int64_t last = std::min(g / kRunGroups * run + run, whole);
    for (; b < last; ++b) {
      sums.add_block(
          b,
          b + 1 < shape.blocks ? 0xffff : last_valid,
          _mm512_srlv_epi32(number, log_size));
      number =
          _mm512_add_epi32(number, _mm512_set1_epi32(kBlockBytes * 8 / kBits));
    }
    if (pairs && g + kRunGroups >= shape.groups) {
      const __m512i halves = _mm512_shuffle_i64x2(number, number, 0x44);
      sums.add_half_block(b, last_valid, _mm512_srlv_epi32(halves, log_size));
    }
  }
  sums.store(y, y_stride);
}

} // namespace zmlx::backend::stages::HWY_NAMESPACE
HWY_POP_ATTRIBUTES

#endif // HWY_AVX3
#endif
