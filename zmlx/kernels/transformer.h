#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/kernels/compositions.h"
#include "zmlx/lang/functions.h"
#include "zmlx/op/op.h"

/// The gates of feed-forward layers, element-wise or on rows that hold gate and
/// up after each other.
namespace zmlx::kernels {

/// What is made of gate and up.
using Gate = lang::Expr (*)(lang::Expr gate, lang::Expr up);

inline lang::Expr silu_gate(lang::Expr gate, lang::Expr up) {
  return lang::silu(std::move(gate)) * std::move(up);
}
inline lang::Expr gelu_gate(lang::Expr gate, lang::Expr up) {
  return lang::gelu(std::move(gate)) * std::move(up);
}
inline lang::Expr gelu_tanh_gate(lang::Expr gate, lang::Expr up) {
  return lang::gelu_tanh(std::move(gate)) * std::move(up);
}
/// Reads the attribute "exact": the erf form where it is 1.
inline Gate gelu_gate_of(lang::Define& k) {
  return k.attribute("exact", 0) != 0 ? gelu_gate : gelu_tanh_gate;
}

/// x (..., 2D) -> (..., D): the gate of the two halves of x, or of x + bias,
/// bias (2D,). The gradients of x and bias are a kernel on rows of 2D.
ZMLX_API void define_halves(lang::Define& k, Gate gate, bool with_bias);

/// Two halves of in[0], or of in[0] + in[1], in MLX's own operations.
ZMLX_API in_mlx::Arrays silu_halves_in_mlx(
    const in_mlx::Arrays& in,
    const lang::Attributes& attributes);
ZMLX_API in_mlx::Arrays gelu_halves_in_mlx(
    const in_mlx::Arrays& in,
    const lang::Attributes& attributes);

ZMLX_API inline const op::Op swiglu2{
    "swiglu2",
    "silu(gate) up, the gate of Llama-family MLPs",
    [](lang::Define& k) {
      auto gate = k.input("gate"), up = k.input("up");
      k.output(silu_gate(gate, up));
      k.cases(map_cases(2));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes&) {
      return in_mlx::Arrays{in_mlx::silu(in[0]) * in[1]};
    }};

ZMLX_API inline const op::Op geglu2{
    "geglu2",
    "gelu_tanh(gate) up; exact = 1 takes the erf form",
    [](lang::Define& k) {
      auto gate = k.input("gate"), up = k.input("up");
      k.output(gelu_gate_of(k)(gate, up));
      k.cases(with_attributes(map_cases(2), map_cases(2), {{"exact", 1}}));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes& attributes) {
      const bool exact = attributes.at("exact") != 0;
      return in_mlx::Arrays{
          (exact ? in_mlx::gelu(in[0]) : in_mlx::gelu_tanh(in[0])) * in[1]};
    }};

ZMLX_API inline const op::Op swiglu{
    "swiglu",
    "silu(gate) up, x (..., 2D) holds gate and then up",
    [](lang::Define& k) { define_halves(k, silu_gate, false); },
    silu_halves_in_mlx};

ZMLX_API inline const op::Op geglu{
    "geglu",
    "gelu_tanh(gate) up, x (..., 2D) holds gate and then up; exact = 1 takes "
    "the erf form",
    [](lang::Define& k) {
      define_halves(k, gelu_gate_of(k), false);
      k.cases(with_attributes(halves_cases(), halves_cases(), {{"exact", 1}}));
    },
    gelu_halves_in_mlx};

ZMLX_API inline const op::Op bias_swiglu{
    "bias_swiglu",
    "swiglu of x + bias, bias (2D,)",
    [](lang::Define& k) { define_halves(k, silu_gate, true); },
    silu_halves_in_mlx};

ZMLX_API inline const op::Op bias_geglu{
    "bias_geglu",
    "geglu of x + bias, bias (2D,); exact = 1 takes the erf form",
    [](lang::Define& k) {
      define_halves(k, gelu_gate_of(k), true);
      k.cases(
          with_attributes(halves_cases(1), halves_cases(1), {{"exact", 1}}));
    },
    gelu_halves_in_mlx};

ZMLX_API inline const op::Op swiglu_oai{
    "swiglu_oai",
    "g sigmoid(alpha g) (u + 1), g = min(gate, limit), u = clip(up, -limit, "
    "limit)",
    [](lang::Define& k) {
      auto gate = k.input("gate"), up = k.input("up");
      auto alpha = k.scalar("alpha"), limit = k.scalar("limit");
      auto g = lang::min(gate, limit);
      auto u = lang::clip(up, -limit, limit);
      k.output_like(g * lang::sigmoid(alpha * g) * (u + 1), gate);
      k.fill(alpha, {lang::Type::F32, 1.7, 1.71});
      k.fill(limit, {lang::Type::F32, 1, 2});
      k.cases(map_cases(2, 2));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes&) {
      namespace mx = mlx::core;
      const auto alpha = in_mlx::to_type_of(in[0], in[2]);
      const auto limit = in_mlx::to_type_of(in[0], in[3]);
      const auto g = mx::minimum(in[0], limit);
      const auto u = mx::clip(in[1], -limit, limit);
      return in_mlx::Arrays{
          g * mx::sigmoid(alpha * g) * (u + in_mlx::like(u, 1))};
    }};

} // namespace zmlx::kernels
