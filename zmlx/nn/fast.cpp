#include "zmlx/nn/fast.h"

namespace zmlx::nn {

namespace {

mx::array mlx_rope(
    const mx::array& x,
    int dims,
    bool traditional,
    std::optional<float> base,
    float scale,
    const Position& offset,
    const std::optional<mx::array>& freqs) {
  return std::visit(
      [&](const auto& at) {
        return mx::fast::rope(x, dims, traditional, base, scale, at, freqs);
      },
      offset);
}

FastOps mlx_ops() {
  FastOps ops;
  ops.rms_norm = [](const auto& x, const auto& weight, float eps) {
    return mx::fast::rms_norm(x, weight, eps);
  };
  ops.layer_norm =
      [](const auto& x, const auto& weight, const auto& bias, float eps) {
        return mx::fast::layer_norm(x, weight, bias, eps);
      };
  ops.rope = mlx_rope;
  ops.attention = [](const auto& q,
                     const auto& k,
                     const auto& v,
                     float scale,
                     const auto& mask_mode,
                     const auto& mask) {
    return mx::fast::scaled_dot_product_attention(
        q, k, v, scale, mask_mode, mask);
  };
  ops.dequantize = [](const auto& w,
                      const auto& scales,
                      const auto& biases,
                      int group_size,
                      int bits,
                      const auto& mode) {
    return mx::dequantize(w, scales, biases, group_size, bits, mode);
  };
  return ops;
}

thread_local const FastOps* in_force = nullptr;

} // namespace

const FastOps& fast() {
  static const FastOps mlx = mlx_ops();
  return in_force ? *in_force : mlx;
}

ScopedFastOps::ScopedFastOps(FastOps ops)
    : ops_(std::move(ops)), previous_(in_force) {
  in_force = &ops_;
}

ScopedFastOps::~ScopedFastOps() {
  in_force = previous_;
}

} // namespace zmlx::nn
