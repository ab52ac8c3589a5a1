// Product with an affine weight in float32, for every Highway target: words are
// shifted, masked and converted where they lie.
#if defined(ZMLX_PRODUCT_AFFINE_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ZMLX_PRODUCT_AFFINE_INL
#undef ZMLX_PRODUCT_AFFINE_INL
#else
#define ZMLX_PRODUCT_AFFINE_INL
#endif

#include <algorithm>

#include "zmlx/backend/stages/cpu_load-inl.h"
#include "zmlx/backend/stages/product/formats.h"

HWY_BEFORE_NAMESPACE();
namespace zmlx::backend::stages::HWY_NAMESPACE {

/// With L lanes, a block is L words of a row, so L * 32 / bits numbers; number
/// j of each word is multiplied at once. L groups make a run of blocks that
/// share one vector of scales. A prepared row is the sum of x over each group
/// (padded to whole vectors), then x as [block][j][lane], both zero-padded.
struct AffineShape {
  int64_t lanes, in_word, block, blocks, groups, padded_groups;

  explicit AffineShape(const Format& format, int64_t width) {
    lanes = static_cast<int64_t>(hn::Lanes(F()));
    in_word = 32 / format.bits;
    block = lanes * in_word;
    blocks = (width + block - 1) / block;
    groups = width / format.group_size;
    padded_groups = (groups + lanes - 1) / lanes * lanes;
  }
};

inline void prepare_affine(
    const Format& format,
    const float* x,
    int64_t width,
    float* prepared) {
  const AffineShape shape(format, width);
  const int64_t size = format.group_size;
  std::fill_n(prepared, shape.padded_groups + shape.blocks * shape.block, 0.f);
  const F d;
  for (int64_t g = 0; g < shape.groups; ++g) {
    V sum = hn::Zero(d);
    for (int64_t k = 0; k < size; k += shape.lanes) {
      sum = hn::Add(sum, hn::LoadU(d, x + g * size + k));
    }
    prepared[g] = hn::GetLane(hn::SumOfLanes(d, sum));
  }
  float* ordered = prepared + shape.padded_groups;
  for (int64_t k = 0; k < width; ++k) {
    const int64_t block = k / shape.block;
    const int64_t lane = k % shape.block / shape.in_word;
    const int64_t j = k % shape.in_word;
    ordered[(block * shape.in_word + j) * shape.lanes + lane] = x[k];
  }
}

/// R rows of the weight with N rows of x.
template <int kBits, typename T, int R, int N>
void affine_tile(
    const Matrix& weight,
    const std::byte* prepared,
    size_t prepared_stride,
    int64_t row,
    float* y,
    int64_t y_stride) {
  const F d;
  const hn::RebindToUnsigned<F> du;
  const hn::RebindToSigned<F> di;
  const AffineShape shape(weight.format, weight.width);
  const int64_t lanes = shape.lanes;
  constexpr int64_t kInWord = 32 / kBits;
  const int64_t words = weight.width / kInWord;
  const int64_t size = weight.format.group_size;
  const int64_t run = size * lanes / shape.block; // blocks a run
  const auto mask = hn::Set(du, (1u << kBits) - 1);

  V sum[R][N];
  for (int r = 0; r < R; ++r) {
    for (int n = 0; n < N; ++n) {
      sum[r][n] = hn::Zero(d);
    }
  }
  for (int64_t g = 0; g < shape.groups; g += lanes) {
    const int64_t groups = HWY_MIN(lanes, shape.groups - g);
    V scales[R];
    for (int r = 0; r < R; ++r) {
      const auto at = [&](const std::byte* base, int64_t stride) {
        const T* p = reinterpret_cast<const T*>(base + (row + r) * stride) + g;
        return groups == lanes ? load(d, p) : load_first(d, p, groups);
      };
      scales[r] = at(weight.parts[1].data, weight.parts[1].stride);
      const V biases = at(weight.parts[2].data, weight.parts[2].stride);
      for (int n = 0; n < N; ++n) {
        const float* sums =
            reinterpret_cast<const float*>(prepared + n * prepared_stride);
        sum[r][n] = hn::MulAdd(biases, hn::Load(d, sums + g), sum[r][n]);
      }
    }
    const int64_t first = g / lanes * run;
    const int64_t last = HWY_MIN(first + run, shape.blocks);
    for (int64_t b = first; b < last; ++b) {
      HWY_ALIGN int32_t group_of_lane[HWY_MAX_BYTES / 4];
      for (int64_t l = 0; l < lanes; ++l) {
        group_of_lane[l] = static_cast<int32_t>(
            ((b - first) * shape.block + l * kInWord) / size);
      }
      const auto table = hn::IndicesFromVec(d, hn::Load(di, group_of_lane));
      const int64_t valid = HWY_MIN(lanes, words - b * lanes);
      for (int r = 0; r < R; ++r) {
        HWY_ALIGN uint32_t padded[HWY_MAX_BYTES / 4] = {};
        const std::byte* p = weight.parts[0].data +
            (row + r) * weight.parts[0].stride + b * lanes * 4;
        auto word = hn::Zero(du);
        if (valid == lanes) {
          word = hn::LoadU(du, reinterpret_cast<const uint32_t*>(p));
        } else {
          std::memcpy(padded, p, valid * sizeof(uint32_t));
          word = hn::Load(du, padded);
        }
        V part[N];
        for (int n = 0; n < N; ++n) {
          part[n] = hn::Zero(d);
        }
        for (int64_t j = 0; j < kInWord; ++j) {
          const V number =
              hn::ConvertTo(d, hn::BitCast(di, hn::And(word, mask)));
          word = hn::ShiftRight<kBits>(word);
          for (int n = 0; n < N; ++n) {
            const float* x =
                reinterpret_cast<const float*>(prepared + n * prepared_stride) +
                shape.padded_groups + (b * kInWord + j) * lanes;
            part[n] = hn::MulAdd(number, hn::Load(d, x), part[n]);
          }
        }
        const V scale = hn::TableLookupLanes(scales[r], table);
        for (int n = 0; n < N; ++n) {
          sum[r][n] = hn::MulAdd(scale, part[n], sum[r][n]);
        }
      }
    }
  }
  for (int n = 0; n < N; ++n) {
    for (int r = 0; r < R; ++r) {
      y[n * y_stride + r] = hn::GetLane(hn::SumOfLanes(d, sum[r][n]));
    }
  }
}

} // namespace zmlx::backend::stages::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
