// A softmax along rows of any length, as one formula; each row adds up to one.
#include <iostream>

#include <mlx/mlx.h>

#include "zmlx/op/elementwise.h"

namespace mx = mlx::core;

int main() {
  const auto softmax = zmlx::elementwise(
      "let e = exp(x - stop_gradient(max_of(x))); e / sum(e)",
      {.name = "softmax"});
  const auto x = mx::multiply(mx::random::normal({256, 1003}), mx::array(20.f));
  const auto y = softmax(x);

  auto off = mx::max(mx::abs(mx::subtract(y, mx::softmax(x, -1))));
  auto sums = mx::max(mx::abs(mx::subtract(mx::sum(y, -1), mx::array(1.0f))));
  mx::eval(off, sums);
  std::cout << "largest difference from mx::softmax: " << off.item<float>()
            << "\nlargest |sum of a row - 1|:          " << sums.item<float>()
            << "\n";
  return off.item<float>() < 1e-5f && sums.item<float>() < 1e-5f ? 0 : 1;
}
