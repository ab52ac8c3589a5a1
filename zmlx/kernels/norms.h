#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/kernels/compositions.h"
#include "zmlx/lang/functions.h"
#include "zmlx/op/op.h"

/// Norms on the last axis, (..., D) -> (..., D), with weights (D,). `eps` is a
/// number at run time. Results are in the type of the first input.
namespace zmlx::kernels {

inline lang::Expr epsilon(lang::Define& k) {
  auto eps = k.scalar("eps");
  k.fill(eps, {lang::Type::F32, 1e-6, 1e-5});
  return eps;
}

ZMLX_API inline const op::Op rmsnorm{
    "rmsnorm",
    "x rsqrt(mean x^2 + eps) w",
    [](lang::Define& k) {
      auto x = k.input("x"), w = k.input("w");
      k.output_like(lang::rms_norm(x, w, epsilon(k)), x);
      k.cases(row_cases(1, 1, 1));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes&) {
      return in_mlx::Arrays{
          mlx::core::fast::rms_norm(in[0], in[1], in_mlx::number(in[2]))};
    }};

ZMLX_API inline const op::Op rms_norm_no_weight{
    "rms_norm_no_weight",
    "x rsqrt(mean x^2 + eps)",
    [](lang::Define& k) {
      auto x = k.input("x");
      k.output_like(lang::rms_norm(x, epsilon(k)), x);
      k.cases(row_cases(1, 0, 1));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes&) {
      return in_mlx::Arrays{mlx::core::fast::rms_norm(
          in[0], std::nullopt, in_mlx::number(in[1]))};
    }};

/// layernorm(x, gamma, beta, eps). Attributes gamma = 0 and beta = 0 leave that
/// input out.
ZMLX_API inline const op::Op layernorm{
    "layernorm",
    "(x - mean) rsqrt(variance + eps) gamma + beta; attributes gamma, beta: 0 "
    "leaves it out",
    [](lang::Define& k) {
      auto x = k.input("x");
      std::optional<lang::Expr> gamma, beta;
      if (k.attribute("gamma", 1) != 0) {
        gamma = k.input("gamma");
      }
      if (k.attribute("beta", 1) != 0) {
        beta = k.input("beta");
      }
      auto y = lang::layer_norm(x, epsilon(k));
      y = gamma ? y * *gamma : y;
      k.output_like(beta ? y + *beta : y, x);
      k.cases(with_attributes(
          with_attributes(
              row_cases(1, 2, 1), row_cases(1, 1, 1), {{"beta", 0}}),
          row_cases(1, 1, 1),
          {{"gamma", 0}}));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes& attributes) {
      size_t next = 1;
      std::optional<mlx::core::array> gamma, beta;
      if (attributes.at("gamma") != 0) {
        gamma = in[next++];
      }
      if (attributes.at("beta") != 0) {
        beta = in[next++];
      }
      return in_mlx::Arrays{mlx::core::fast::layer_norm(
          in[0], gamma, beta, in_mlx::number(in[next]))};
    }};

ZMLX_API inline const op::Op layer_norm_no_weight{
    "layer_norm_no_weight",
    "(x - mean) rsqrt(variance + eps)",
    [](lang::Define& k) {
      auto x = k.input("x");
      k.output_like(lang::layer_norm(x, epsilon(k)), x);
      k.cases(row_cases(1, 0, 1));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes&) {
      return in_mlx::Arrays{mlx::core::fast::layer_norm(
          in[0], std::nullopt, std::nullopt, in_mlx::number(in[1]))};
    }};

/// Two results: add_rms_norm.all({x, residual, w, eps}) is {normed, sum}.
ZMLX_API inline const op::Op add_rms_norm{
    "add_rms_norm",
    "(rmsnorm(sum) w, sum), sum = x + residual as it is stored",
    [](lang::Define& k) {
      auto x = k.input("x"), residual = k.input("residual"), w = k.input("w");
      auto sum = lang::as(x, x + residual);
      k.output_like(lang::rms_norm(sum, w, epsilon(k)), x, "normed");
      k.output_like(sum, x, "sum");
      k.cases(row_cases(2, 1, 1));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes&) {
      const auto sum = in[0] + in[1];
      return in_mlx::Arrays{
          mlx::core::fast::rms_norm(sum, in[2], in_mlx::number(in[3])), sum};
    }};
ZMLX_API inline const op::Op& rmsnorm_residual =
    op::alias("rmsnorm_residual", add_rms_norm);
ZMLX_API inline const op::Op& residual_rmsnorm =
    op::alias("residual_rmsnorm", add_rms_norm);
ZMLX_API inline const op::Op& fused_add_rmsnorm =
    op::alias("fused_add_rmsnorm", add_rms_norm);

/// Two results, as add_rms_norm: {normed, sum} of {x, residual, gamma, beta,
/// eps}.
ZMLX_API inline const op::Op layernorm_residual{
    "layernorm_residual",
    "(layernorm(sum), sum), sum = x + residual as it is stored",
    [](lang::Define& k) {
      auto x = k.input("x"), residual = k.input("residual");
      auto gamma = k.input("gamma"), beta = k.input("beta");
      auto sum = lang::as(x, x + residual);
      k.output_like(
          lang::layer_norm(sum, gamma, beta, epsilon(k)), x, "normed");
      k.output_like(sum, x, "sum");
      k.cases(row_cases(2, 2, 1));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes&) {
      const auto sum = in[0] + in[1];
      return in_mlx::Arrays{
          mlx::core::fast::layer_norm(sum, in[2], in[3], in_mlx::number(in[4])),
          sum};
    }};
ZMLX_API inline const op::Op& fused_add_layernorm =
    op::alias("fused_add_layernorm", layernorm_residual);

ZMLX_API inline const op::Op gated_rmsnorm_silu{
    "gated_rmsnorm_silu",
    "rmsnorm(y) w silu(z)",
    [](lang::Define& k) {
      auto y = k.input("y"), z = k.input("z"), w = k.input("w");
      k.output_like(lang::rms_norm(y, w, epsilon(k)) * lang::silu(z), y);
      k.cases(row_cases(2, 1, 1));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes&) {
      return in_mlx::Arrays{
          mlx::core::fast::rms_norm(in[0], in[2], in_mlx::number(in[3])) *
          in_mlx::silu(in[1])};
    }};

} // namespace zmlx::kernels
