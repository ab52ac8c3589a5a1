#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/kernels/compositions.h"
#include "zmlx/kernels/norms.h"
#include "zmlx/lang/functions.h"
#include "zmlx/op/op.h"

/// Models that apply one block many times.
namespace zmlx::kernels {

/// h (..., D), w (D,), gate (..., D), then two numbers.
ZMLX_API std::vector<lang::Case> recurrent_cases();

/// h and gate (..., D), w (D,), alpha and eps numbers.
ZMLX_API inline const op::Op fused_recurrent_step{
    "fused_recurrent_step",
    "h + alpha silu(rmsnorm(h) w) gate",
    [](lang::Define& k) {
      auto h = k.input("h"), w = k.input("w"), gate = k.input("gate");
      auto alpha = k.scalar("alpha");
      auto normed = lang::rms_norm(h, w, epsilon(k));
      k.output_like(h + alpha * lang::silu(normed) * gate, h);
      k.fill(alpha, {lang::Type::F32, 0.1, 1});
      k.cases(recurrent_cases());
    },
    [](const in_mlx::Arrays& in, const lang::Attributes&) {
      const auto normed =
          mlx::core::fast::rms_norm(in[0], in[1], in_mlx::number(in[4]));
      const auto alpha = in_mlx::to_type_of(in[0], in[3]);
      return in_mlx::Arrays{in[0] + alpha * in_mlx::silu(normed) * in[2]};
    }};

/// How deep to go: x any shape, k_max a number.
ZMLX_API inline const op::Op depth_gate_sigmoid{
    "depth_gate_sigmoid",
    "k_max sigmoid(x)",
    [](lang::Define& k) {
      auto x = k.input("x"), k_max = k.scalar("k_max");
      k.output_like(k_max * lang::sigmoid(x), x);
      k.fill(k_max, {lang::Type::F32, 1, 16});
      k.cases(map_cases(1, 1));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes&) {
      return in_mlx::Arrays{
          in_mlx::to_type_of(in[0], in[1]) * mlx::core::sigmoid(in[0])};
    }};

} // namespace zmlx::kernels
