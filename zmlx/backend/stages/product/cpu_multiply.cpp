#include "zmlx/backend/stages/product/cpu_multiply.h"

#include <algorithm>
#include <array>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "zmlx/backend/stages/product/cpu_multiply.cpp"
#include "zmlx/backend/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "zmlx/backend/stages/product/cpu_affine-inl.h"
#include "zmlx/backend/stages/product/cpu_affine_fixed-inl.h"
#include "zmlx/backend/stages/product/cpu_dense-inl.h"

HWY_BEFORE_NAMESPACE();
namespace zmlx::backend::stages::HWY_NAMESPACE {

/// What precedes the numbers of a prepared row.
struct alignas(64) Header {
  bool fixed; // as cpu_affine_fixed-inl.h has it, else as cpu_affine-inl.h
};

inline constexpr int kTileRows = 4;

/// Rows of the weight by tiles that share the loads of x. `Tile` holds one
/// function template over the rows R of the weight and N of x.
template <typename Tile>
void by_tiles(
    const Matrix& weight,
    const std::byte* prepared,
    size_t stride,
    int count,
    int64_t first,
    int64_t last,
    float* y,
    int64_t y_stride) {
  const std::byte* numbers = prepared + sizeof(Header);
  const auto tiles = [&]<int R, int N>(int n, int64_t m) {
    for (; m + R <= last; m += R) {
      Tile::template run<R, N>(
          weight,
          numbers + n * stride,
          stride,
          m,
          y + n * y_stride + (m - first),
          y_stride);
    }
    return m;
  };
  int n = 0;
  if (count == kRowsAtOnce) {
    const int64_t m = tiles.template operator()<2, kRowsAtOnce>(0, first);
    tiles.template operator()<1, kRowsAtOnce>(0, m);
    n = count;
  }
  for (; n < count; ++n) {
    int64_t m = tiles.template operator()<kTileRows, 1>(n, first);
    m = tiles.template operator()<2, 1>(n, m);
    tiles.template operator()<1, 1>(n, m);
  }
}

template <typename T>
struct DenseTile {
  template <int R, int N, typename... Args>
  static void run(const Args&... args) {
    dense_tile<T, R, N>(args...);
  }
};

template <int kBits, typename T>
struct AffineTile {
  template <int R, int N, typename... Args>
  static void run(const Args&... args) {
    affine_tile<kBits, T, R, N>(args...);
  }
};

#if HWY_TARGET == HWY_AVX3
template <int kBits, typename T>
struct FixedTile {
  template <int R, int N, typename... Args>
  static void run(const Args&... args) {
    fixed_tile<kBits, T, R, N>(args...);
  }
};
#endif

template <int kBits, typename T>
void affine(
    const Matrix& weight,
    const std::byte* prepared,
    size_t stride,
    int count,
    int64_t first,
    int64_t last,
    float* y,
    int64_t y_stride) {
#if HWY_TARGET == HWY_AVX3
  const auto fixed = [&](int n) {
    return reinterpret_cast<const Header*>(prepared + n * stride)->fixed;
  };
  // Rows of one kind go together.
  for (int n = 0; n < count;) {
    int same = 1;
    while (n + same < count && fixed(n + same) == fixed(n)) {
      ++same;
    }
    auto* run = fixed(n) ? by_tiles<FixedTile<kBits, T>>
                         : by_tiles<AffineTile<kBits, T>>;
    run(weight,
        prepared + n * stride,
        stride,
        same,
        first,
        last,
        y + n * y_stride,
        y_stride);
    n += same;
  }
#else
  by_tiles<AffineTile<kBits, T>>(
      weight, prepared, stride, count, first, last, y, y_stride);
#endif
}

template <typename Use>
void with_type(lang::Type type, Use use) {
  if (type == lang::Type::F32) {
    use(float());
  } else if (type == lang::Type::F16) {
    use(hwy::float16_t());
  } else {
    use(hwy::bfloat16_t());
  }
}

// One struct a weight format: how a row of x is prepared, and the product.

struct Dense {
  static void
  prepare(const Format&, const float* x, int64_t width, std::byte* prepared) {
    auto* numbers = reinterpret_cast<float*>(prepared + sizeof(Header));
    std::copy_n(x, width, numbers);
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(F()));
    const int64_t padded = (width + lanes - 1) / lanes * lanes;
    std::fill(numbers + width, numbers + padded, 0.f);
  }

  template <typename... Args>
  static void multiply(const Matrix& weight, const Args&... args) {
    with_type(weight.format.type, [&]<typename T>(T) {
      by_tiles<DenseTile<T>>(weight, args...);
    });
  }
};

struct Affine {
  static bool reads(int bits) {
    return bits == 2 || bits == 4 || bits == 8;
  }

  static void prepare(
      const Format& format,
      const float* x,
      int64_t width,
      std::byte* prepared) {
    auto* header = reinterpret_cast<Header*>(prepared);
    auto* numbers = reinterpret_cast<float*>(prepared + sizeof(Header));
    header->fixed = false;
#if HWY_TARGET == HWY_AVX3
    header->fixed = can_dot_bytes() &&
        (format.bits == 4       ? prepare_fixed<4>(format, x, width, numbers)
             : format.bits == 8 ? prepare_fixed<8>(format, x, width, numbers)
                                : prepare_fixed<2>(format, x, width, numbers));
    if (header->fixed) {
      return;
    }
#endif
    prepare_affine(format, x, width, numbers);
  }

  template <typename... Args>
  static void multiply(const Matrix& weight, const Args&... args) {
    with_type(weight.format.type, [&]<typename T>(T) {
      if (weight.format.bits == 4) {
        affine<4, T>(weight, args...);
      } else if (weight.format.bits == 8) {
        affine<8, T>(weight, args...);
      } else {
        affine<2, T>(weight, args...);
      }
    });
  }
};

/// Any other: through the table's own decode, a stretch of a row at a time.
struct Decoded : Dense {
  static void multiply(
      const Matrix& weight,
      const std::byte* prepared,
      size_t stride,
      int count,
      int64_t first,
      int64_t last,
      float* y,
      int64_t y_stride) {
    std::array<lang::PartRows, lang::kMostParts> parts;
    const size_t used = lang::row_of(weight.format.format).parts.size();
    for (size_t p = 0; p < used; ++p) {
      parts[p] = {
          weight.parts[p].data,
          weight.format.type_of(p),
          weight.parts[p].stride};
    }
    const lang::Weight format = weight.format.weight();
    for (int64_t m = first; m < last; ++m) {
      double sum[kRowsAtOnce] = {};
      for (int64_t k = 0; k < weight.width; k += kStretch) {
        HWY_ALIGN float numbers[kStretch];
        const int64_t size = HWY_MIN(kStretch, weight.width - k);
        lang::decode(format, {parts.data(), used}, m, k, size, numbers);
        std::fill(numbers + size, numbers + kStretch, 0.f);
        for (int n = 0; n < count; ++n) {
          const auto* x = reinterpret_cast<const float*>(
              prepared + n * stride + sizeof(Header));
          sum[n] += dot(numbers, x + k, size);
        }
      }
      for (int n = 0; n < count; ++n) {
        y[n * y_stride + m - first] = static_cast<float>(sum[n]);
      }
    }
  }

 private:
  static constexpr int64_t kStretch = 256;

  // What is padded is padded with zeros on both sides.
  static float dot(const float* a, const float* b, int64_t size) {
    const F d;
    V sum = hn::Zero(d);
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    for (int64_t i = 0; i < size; i += lanes) {
      sum = hn::MulAdd(hn::Load(d, a + i), hn::Load(d, b + i), sum);
    }
    return hn::GetLane(hn::SumOfLanes(d, sum));
  }
};

template <typename Use>
void by_format(const Format& format, Use use) {
  switch (format.format) {
    case lang::WeightFormat::Dense:
      return use(Dense());
    case lang::WeightFormat::Affine:
      return Affine::reads(format.bits) ? use(Affine()) : use(Decoded());
    default:
      return use(Decoded());
  }
}

void PrepareRow(
    const Format& format,
    const float* x,
    int64_t width,
    std::byte* prepared) {
  by_format(format, [&]<typename Own>(Own) {
    Own::prepare(format, x, width, prepared);
  });
}

void MultiplyRows(
    const Matrix& weight,
    const std::byte* prepared,
    int count,
    int64_t first,
    int64_t last,
    float* y,
    int64_t y_stride) {
  const size_t stride = prepared_bytes(weight.format, weight.width);
  by_format(weight.format, [&]<typename Own>(Own) {
    Own::multiply(weight, prepared, stride, count, first, last, y, y_stride);
  });
}

} // namespace zmlx::backend::stages::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zmlx::backend::stages {

HWY_EXPORT(PrepareRow);
HWY_EXPORT(MultiplyRows);

size_t prepared_bytes(const Format& format, int64_t width) {
  const auto up = [](int64_t n, int64_t to) { return (n + to - 1) / to * to; };
  // Room for the largest block of any target and, where there are groups, two
  // numbers for each.
  int64_t floats = up(width, 256);
  if (format.group_size > 0) {
    floats += 2 * up(width / format.group_size, 16);
  }
  return static_cast<size_t>(64 + 4 * floats);
}

void prepare(
    const Format& format,
    const float* x,
    int64_t width,
    std::byte* prepared) {
  HWY_DYNAMIC_DISPATCH(PrepareRow)(format, x, width, prepared);
}

void multiply(
    const Matrix& weight,
    const std::byte* prepared,
    int count,
    int64_t first,
    int64_t last,
    float* y,
    int64_t y_stride) {
  HWY_DYNAMIC_DISPATCH(MultiplyRows)
  (weight, prepared, count, first, last, y, y_stride);
}

} // namespace zmlx::backend::stages
#endif
