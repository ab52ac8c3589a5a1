#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/kernels/compositions.h"
#include "zmlx/lang/functions.h"
#include "zmlx/op/op.h"

/// Element-wise kernels of several inputs (broadcasting as MLX), and products
/// with something done to their result.
namespace zmlx::kernels {

/// y = f(x + bias), bias (D,).
template <typename Function>
lang::Kernel::Definition biased(Function f) {
  return [f](lang::Define& k) {
    auto x = k.input("x"), bias = k.input("bias");
    k.output(f(x + bias));
    k.cases(row_cases(1, 1));
  };
}

/// x (..., K), w (M, K), a vector (M,), then `scalars` numbers.
ZMLX_API std::vector<lang::Case> linear_cases(int scalars = 0);

/// f of all inputs, in MLX's own operations.
template <typename Function>
op::Op::Composition inputs_in_mlx(Function f) {
  return [f](const in_mlx::Arrays& in, const lang::Attributes&) {
    return in_mlx::Arrays{f(in)};
  };
}

ZMLX_API inline const op::Op add{
    "add",
    "a + b",
    [](lang::Define& k) {
      auto a = k.input("a"), b = k.input("b");
      k.output(a + b);
      k.cases(map_cases(2));
    },
    inputs_in_mlx([](const in_mlx::Arrays& in) { return in[0] + in[1]; })};

ZMLX_API inline const op::Op mul{
    "mul",
    "a b",
    [](lang::Define& k) {
      auto a = k.input("a"), b = k.input("b");
      k.output(a * b);
      k.cases(map_cases(2));
    },
    inputs_in_mlx([](const in_mlx::Arrays& in) { return in[0] * in[1]; })};

ZMLX_API inline const op::Op silu_mul{
    "silu_mul",
    "silu(a) b",
    [](lang::Define& k) {
      auto a = k.input("a"), b = k.input("b");
      k.output(lang::silu(a) * b);
      k.cases(map_cases(2));
    },
    inputs_in_mlx(
        [](const in_mlx::Arrays& in) { return in_mlx::silu(in[0]) * in[1]; })};

ZMLX_API inline const op::Op silu_mul_residual{
    "silu_mul_residual",
    "silu(gate) up + residual",
    [](lang::Define& k) {
      auto gate = k.input("gate"), up = k.input("up");
      k.output(lang::silu(gate) * up + k.input("residual"));
      k.cases(map_cases(3));
    },
    inputs_in_mlx([](const in_mlx::Arrays& in) {
      return in_mlx::silu(in[0]) * in[1] + in[2];
    })};

ZMLX_API inline const op::Op add_bias{
    "add_bias",
    "x + bias, bias (D,)",
    biased([](const lang::Expr& x) { return x; }),
    inputs_in_mlx([](const in_mlx::Arrays& in) { return in[0] + in[1]; })};

ZMLX_API inline const op::Op bias_silu{
    "bias_silu",
    "silu(x + bias), bias (D,)",
    biased(lang::silu),
    inputs_in_mlx(
        [](const in_mlx::Arrays& in) { return in_mlx::silu(in[0] + in[1]); })};

ZMLX_API inline const op::Op bias_gelu_tanh{
    "bias_gelu_tanh",
    "gelu_tanh(x + bias), bias (D,)",
    biased(lang::gelu_tanh),
    inputs_in_mlx([](const in_mlx::Arrays& in) {
      return in_mlx::gelu_tanh(in[0] + in[1]);
    })};

/// x (..., K), w (M, K), bias (M,) give (..., M). The gradients are MLX's
/// matrix products around a kernel.
ZMLX_API inline const op::Op linear_bias_silu{
    "linear_bias_silu",
    "silu(x w^T + bias)",
    [](lang::Define& k) {
      auto x = k.input("x");
      auto w = k.weight("w", 0, 0);
      auto bias = k.input("bias");
      k.output(lang::silu(lang::product(x, w) + bias));
      k.cases(linear_cases());
    },
    inputs_in_mlx([](const in_mlx::Arrays& in) {
      return in_mlx::silu(
          mlx::core::addmm(in[2], in[0], mlx::core::transpose(in[1])));
    })};

/// The same with gelu: by tanh, or by erf where exact = 1.
ZMLX_API inline const op::Op linear_bias_gelu{
    "linear_bias_gelu",
    "gelu_tanh(x w^T + bias); exact = 1 takes the erf form",
    [](lang::Define& k) {
      auto x = k.input("x");
      auto w = k.weight("w", 0, 0);
      auto bias = k.input("bias");
      auto y = lang::product(x, w) + bias;
      const bool exact = k.attribute("exact", 0) != 0;
      k.output(exact ? lang::gelu(y) : lang::gelu_tanh(y));
      k.cases(with_attributes(linear_cases(), linear_cases(), {{"exact", 1}}));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes& attributes) {
      const auto y =
          mlx::core::addmm(in[2], in[0], mlx::core::transpose(in[1]));
      return in_mlx::Arrays{
          attributes.at("exact") != 0 ? in_mlx::gelu(y) : in_mlx::gelu_tanh(y)};
    }};

/// x (..., K), w (M, K), gamma (M,) give (..., M). Runs as MLX's matrix product
/// and a kernel.
ZMLX_API inline const op::Op linear_rmsnorm{
    "linear_rmsnorm",
    "rms_norm(x w^T) gamma",
    [](lang::Define& k) {
      auto x = k.input("x");
      auto w = k.weight("w", 0, 0);
      auto gamma = k.input("gamma"), eps = k.scalar("eps");
      k.output_like(lang::rms_norm(lang::product(x, w), gamma, eps), x);
      k.fill(eps, {lang::Type::F32, 1e-6, 1e-5});
      k.cases(linear_cases(1));
    },
    inputs_in_mlx([](const in_mlx::Arrays& in) {
      namespace mx = mlx::core;
      return mx::fast::rms_norm(
          mx::matmul(in[0], mx::transpose(in[1])),
          in[2],
          in_mlx::number(in[3]));
    })};

} // namespace zmlx::kernels
