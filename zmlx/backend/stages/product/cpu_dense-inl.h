// Product with a dense weight, for every Highway target.
#if defined(ZMLX_PRODUCT_DENSE_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ZMLX_PRODUCT_DENSE_INL
#undef ZMLX_PRODUCT_DENSE_INL
#else
#define ZMLX_PRODUCT_DENSE_INL
#endif

#include "zmlx/backend/stages/cpu_load-inl.h"
#include "zmlx/backend/stages/product/formats.h"

HWY_BEFORE_NAMESPACE();
namespace zmlx::backend::stages::HWY_NAMESPACE {

/// R rows of the weight with N rows of x, which are padded with zeros.
template <typename T, int R, int N>
void dense_tile(
    const Matrix& weight,
    const std::byte* prepared,
    size_t prepared_stride,
    int64_t row,
    float* y,
    int64_t y_stride) {
  const F d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const T* w[R];
  for (int r = 0; r < R; ++r) {
    w[r] = reinterpret_cast<const T*>(
        weight.parts[0].data + (row + r) * weight.parts[0].stride);
  }
  const float* x[N];
  V sum[R][N][2];
  for (int n = 0; n < N; ++n) {
    x[n] = reinterpret_cast<const float*>(prepared + n * prepared_stride);
    for (int r = 0; r < R; ++r) {
      sum[r][n][0] = sum[r][n][1] = hn::Zero(d);
    }
  }
  int64_t k = 0;
  for (; k + 2 * lanes <= weight.width; k += 2 * lanes) {
    for (int half = 0; half < 2; ++half) {
      const int64_t at = k + half * lanes;
      for (int r = 0; r < R; ++r) {
        const V numbers = load(d, w[r] + at);
        for (int n = 0; n < N; ++n) {
          sum[r][n][half] =
              hn::MulAdd(numbers, hn::Load(d, x[n] + at), sum[r][n][half]);
        }
      }
    }
  }
  for (; k < weight.width; k += lanes) {
    const size_t count = static_cast<size_t>(HWY_MIN(lanes, weight.width - k));
    for (int r = 0; r < R; ++r) {
      const V numbers = load_first(d, w[r] + k, count);
      for (int n = 0; n < N; ++n) {
        sum[r][n][0] = hn::MulAdd(numbers, hn::Load(d, x[n] + k), sum[r][n][0]);
      }
    }
  }
  for (int n = 0; n < N; ++n) {
    for (int r = 0; r < R; ++r) {
      y[n * y_stride + r] =
          hn::GetLane(hn::SumOfLanes(d, hn::Add(sum[r][n][0], sum[r][n][1])));
    }
  }
}

} // namespace zmlx::backend::stages::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
