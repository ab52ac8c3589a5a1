#include "zmlx/kernels/compositions.h"

namespace zmlx::kernels::in_mlx {

float number(const mx::array& scalar) {
  return mx::astype(scalar, mx::float32).item<float>();
}

mx::array like(const mx::array& x, double value) {
  return mx::array(value, x.dtype());
}

mx::array to_type_of(const mx::array& x, const mx::array& operand) {
  return mx::astype(operand, x.dtype());
}

mx::array silu(const mx::array& x) {
  return x * mx::sigmoid(x);
}

mx::array gelu(const mx::array& x) {
  const auto normal = mx::erf(x * like(x, 0.7071067811865476));
  return x * (like(x, 1) + normal) * like(x, 0.5);
}

mx::array gelu_tanh(const mx::array& x) {
  const auto u = x + like(x, 0.044715) * x * x * x;
  return like(x, 0.5) * x * (like(x, 1) + mx::tanh(like(x, 0.7978845608) * u));
}

mx::array softplus(const mx::array& x) {
  return mx::logaddexp(x, like(x, 0));
}

Arrays halves(const mx::array& x) {
  return mx::split(x, 2, -1);
}

mx::array
dropout(const mx::array& x, const mx::array& p, const mx::array& seed) {
  const auto key =
      mx::view(mx::reshape(mx::astype(seed, mx::uint64), {1}), mx::uint32);
  const auto share = like(x, 1) - to_type_of(x, p);
  const auto kept = mx::random::bernoulli(share, x.shape(), key);
  return mx::where(kept, x / share, like(x, 0));
}

} // namespace zmlx::kernels::in_mlx
