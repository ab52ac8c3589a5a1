// A loss of one's own in a training loop: a line is fitted through points, some
// of which are far off, with the pseudo-Huber loss as one kernel. Squares would
// follow the outliers; this loss does not.
#include <cmath>
#include <iostream>

#include <mlx/mlx.h>

#include "zmlx/op/elementwise.h"

namespace mx = mlx::core;

namespace {

using Loss = std::function<mx::array(const mx::array&, const mx::array&)>;

/// The slope and offset that gradient descent finds.
std::vector<mx::array>
fit(const mx::array& x, const mx::array& y, const Loss& loss) {
  std::vector<mx::array> parameters = {mx::array(0.0f), mx::array(0.0f)};
  const auto step = mx::value_and_grad(
      std::function<mx::array(const std::vector<mx::array>&)>(
          [&](const std::vector<mx::array>& p) {
            const auto guess = mx::add(mx::multiply(p[0], x), p[1]);
            return mx::mean(loss(guess, y));
          }),
      std::vector<int>{0, 1});
  for (int i = 0; i < 400; ++i) {
    const auto gradients = step(parameters).second;
    for (size_t k = 0; k < parameters.size(); ++k) {
      parameters[k] = mx::subtract(
          parameters[k], mx::multiply(mx::array(0.1f), gradients[k]));
    }
    mx::eval(parameters);
  }
  return parameters;
}

} // namespace

int main() {
  const mx::Shape points = {512};
  const auto x = mx::multiply(
      mx::array(1.2f),
      mx::random::normal(points, mx::float32, mx::random::key(1)));
  const auto noise = mx::multiply(
      mx::array(0.1f),
      mx::random::normal(points, mx::float32, mx::random::key(2)));
  // y = 3 x - 1, and every eighth point 30 too high.
  const auto off =
      mx::equal(mx::remainder(mx::arange(512), mx::array(8)), mx::array(0));
  const auto line =
      mx::subtract(mx::multiply(mx::array(3.0f), x), mx::array(1.0f));
  auto y = mx::add(line, noise);
  y = mx::where(off, mx::add(y, mx::array(30.0f)), y);

  const auto huber = zmlx::elementwise(
      "let r = (guess - y) / delta; delta * delta * (sqrt(1 + r * r) - 1)",
      {.inputs = {"guess", "y"}, .scalars = {"delta"}, .name = "huber"});
  const auto found = fit(x, y, [&](const mx::array& a, const mx::array& b) {
    return huber(a, b, 0.5f);
  });
  const float slope = found[0].item<float>(), offset = found[1].item<float>();
  std::cout << "slope " << slope << " (3), offset " << offset << " (-1)\n";
  return std::abs(slope - 3) < 0.05f && std::abs(offset + 1) < 0.15f ? 0 : 1;
}
