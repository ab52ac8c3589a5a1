// A formula, its gradient, and what MLX says to both.
#include <iostream>

#include <mlx/mlx.h>

#include "zmlx/op/elementwise.h"

namespace mx = mlx::core;

int main() {
  const auto gate =
      zmlx::elementwise("silu(g) * u", {.inputs = {"g", "u"}, .name = "gate"});
  const auto g = mx::random::normal({4, 1000});
  const auto u = mx::random::normal({4, 1000});

  const auto composed = [](const mx::array& a, const mx::array& b) {
    return mx::multiply(mx::multiply(a, mx::sigmoid(a)), b);
  };
  const auto ours = mx::grad(
      [&](const mx::array& a) { return mx::sum(mx::square(gate(a, u))); })(g);
  const auto mlx = mx::grad([&](const mx::array& a) {
    return mx::sum(mx::square(composed(a, u)));
  })(g);

  const bool same_value =
      mx::allclose(gate(g, u), composed(g, u), 1e-5, 1e-6).item<bool>();
  const bool same_gradient = mx::allclose(ours, mlx, 1e-4, 1e-5).item<bool>();
  std::cout << "value as MLX's:    " << (same_value ? "yes" : "no") << "\n"
            << "gradient as MLX's: " << (same_gradient ? "yes" : "no") << "\n";
  return same_value && same_gradient ? 0 : 1;
}
