#include "zmlx/kernels/image.h"

namespace zmlx::kernels {

namespace {

// One axis of x, interpolated between neighbours.
mx::array resized(const mx::array& x, int axis, int to) {
  const int from = x.shape(axis);
  const auto at = mx::clip(
      mx::subtract(
          mx::multiply(
              mx::add(mx::arange(0, to, 1, mx::float32), mx::array(0.5f)),
              mx::array(static_cast<float>(from) / static_cast<float>(to))),
          mx::array(0.5f)),
      mx::array(0.f),
      mx::array(static_cast<float>(from - 1)));
  const auto low = mx::floor(at);
  mx::Shape along(x.ndim(), 1);
  along[axis] = to;
  const auto share =
      mx::astype(mx::reshape(mx::subtract(at, low), along), x.dtype());
  const auto first = mx::astype(low, mx::int32);
  const auto second =
      mx::minimum(mx::add(first, mx::array(1)), mx::array(from - 1));
  const auto a = mx::take(x, first, axis), b = mx::take(x, second, axis);
  return mx::add(a, mx::multiply(share, mx::subtract(b, a)));
}

} // namespace

std::vector<mx::array> resize_with_mlx(
    const std::vector<mx::array>& inputs,
    const lang::Attributes& attributes) {
  auto y = inputs[0];
  for (const auto& [axis, name] :
       {std::pair{1, "height"}, std::pair{2, "width"}}) {
    if (const int to = static_cast<int>(attributes.at(name)); to > 0) {
      y = resized(y, axis, to);
    }
  }
  return {y};
}

} // namespace zmlx::kernels
