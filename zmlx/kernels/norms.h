#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/op/op.h"

/// Norms on the last axis. `eps` is a number at run time.
namespace zmlx::kernels {

/// x / rms(x), the formula that the kernels share.
inline lang::Expr rms_normed(const lang::Expr& x, const lang::Expr& eps) {
  return x * lang::rsqrt(lang::mean(x * x) + eps);
}

/// (x - mean) / standard deviation; the variance is taken about the mean.
inline lang::Expr layer_normed(const lang::Expr& x, const lang::Expr& eps) {
  auto centred = x - lang::mean(x);
  return centred * lang::rsqrt(lang::mean(centred * centred) + eps);
}

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
      k.output_like(rms_normed(x, epsilon(k)) * w, x);
      k.cases(row_cases(1, 1, 1));
    }};

ZMLX_API inline const op::Op rms_norm_no_weight{
    "rms_norm_no_weight",
    "x rsqrt(mean x^2 + eps)",
    [](lang::Define& k) {
      auto x = k.input("x");
      k.output_like(rms_normed(x, epsilon(k)), x);
      k.cases(row_cases(1, 0, 1));
    }};

ZMLX_API inline const op::Op layernorm{
    "layernorm",
    "(x - mean) rsqrt(variance + eps) gamma + beta",
    [](lang::Define& k) {
      auto x = k.input("x"), gamma = k.input("gamma"), beta = k.input("beta");
      k.output_like(layer_normed(x, epsilon(k)) * gamma + beta, x);
      k.cases(row_cases(1, 2, 1));
    }};

ZMLX_API inline const op::Op layer_norm_no_weight{
    "layer_norm_no_weight",
    "(x - mean) rsqrt(variance + eps)",
    [](lang::Define& k) {
      auto x = k.input("x");
      k.output_like(layer_normed(x, epsilon(k)), x);
      k.cases(row_cases(1, 0, 1));
    }};

ZMLX_API inline const op::Op add_rms_norm{
    "add_rms_norm",
    "(rmsnorm(x + residual) w, x + residual); the norm reads the sum before it "
    "is rounded",
    [](lang::Define& k) {
      auto x = k.input("x"), residual = k.input("residual"), w = k.input("w");
      auto sum = x + residual;
      k.output_like(rms_normed(sum, epsilon(k)) * w, x, "normed");
      k.output_like(sum, x, "sum");
      k.cases(row_cases(2, 1, 1));
    }};

ZMLX_API inline const op::Op gated_rmsnorm_silu{
    "gated_rmsnorm_silu",
    "rmsnorm(y) w silu(z)",
    [](lang::Define& k) {
      auto y = k.input("y"), z = k.input("z"), w = k.input("w");
      k.output_like(rms_normed(y, epsilon(k)) * w * (z * lang::sigmoid(z)), y);
      k.cases(row_cases(2, 1, 1));
    }};

} // namespace zmlx::kernels
