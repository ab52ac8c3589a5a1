#include "zmlx/backend/stages/product/cpu_multiply.h"

#include <algorithm>

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

void PrepareRow(
    const Format& format,
    const float* x,
    int64_t width,
    std::byte* prepared) {
  auto* header = reinterpret_cast<Header*>(prepared);
  auto* numbers = reinterpret_cast<float*>(prepared + sizeof(Header));
  header->fixed = false;
  if (format.format == lang::WeightFormat::Dense) {
    std::copy_n(x, width, numbers);
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(F()));
    const int64_t padded = (width + lanes - 1) / lanes * lanes;
    std::fill(numbers + width, numbers + padded, 0.f);
    return;
  }
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

template <typename T, typename... Args>
void multiply_type(const Matrix& weight, const Args&... args) {
  if (weight.format.format == lang::WeightFormat::Dense) {
    by_tiles<DenseTile<T>>(weight, args...);
  } else if (weight.format.bits == 4) {
    affine<4, T>(weight, args...);
  } else if (weight.format.bits == 8) {
    affine<8, T>(weight, args...);
  } else {
    affine<2, T>(weight, args...);
  }
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
  if (weight.format.type == lang::Type::F32) {
    multiply_type<float>(
        weight, prepared, stride, count, first, last, y, y_stride);
  } else if (weight.format.type == lang::Type::F16) {
    multiply_type<hwy::float16_t>(
        weight, prepared, stride, count, first, last, y, y_stride);
  } else {
    multiply_type<hwy::bfloat16_t>(
        weight, prepared, stride, count, first, last, y, y_stride);
  }
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
  if (format.format == lang::WeightFormat::Affine) {
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
