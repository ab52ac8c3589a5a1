#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/kernels/compositions.h"
#include "zmlx/lang/functions.h"
#include "zmlx/op/op.h"

/// Activations: (x) -> y, any shape.
namespace zmlx::kernels {

/// The definition of y = f(x).
template <typename Function>
lang::Kernel::Definition activation(Function f, lang::Fill fill = {}) {
  return [f, fill](lang::Define& k) {
    auto x = k.input("x");
    k.output(f(x));
    k.fill(x, fill);
    k.cases(map_cases(1));
  };
}

/// y = f(x) in MLX's own operations.
template <typename Function>
op::Op::Composition unary_in_mlx(Function f) {
  return [f](const in_mlx::Arrays& in, const lang::Attributes&) {
    return in_mlx::Arrays{f(in[0])};
  };
}

#define ZMLX_ACTIVATION(name, summary, formula, in_mlx_ops)                \
  ZMLX_API inline const op::Op name {                                      \
#name, summary, activation([](const lang::Expr& x) {                   \
      using namespace lang; /* NOLINT: one formula a scope */              \
      return formula;                                                      \
    }),                                                                    \
        unary_in_mlx([](const mlx::core::array& x) { return in_mlx_ops; }) \
  }

ZMLX_ACTIVATION(exp, "e to the x", lang::exp(x), mlx::core::exp(x));
ZMLX_ACTIVATION(tanh, "hyperbolic tangent", lang::tanh(x), mlx::core::tanh(x));
ZMLX_ACTIVATION(
    sigmoid,
    "1 / (1 + exp(-x))",
    lang::sigmoid(x),
    mlx::core::sigmoid(x));
ZMLX_ACTIVATION(
    relu,
    "max(x, 0); keeps NaN",
    lang::relu(x),
    mlx::core::maximum(x, in_mlx::like(x, 0)));
ZMLX_ACTIVATION(
    relu2,
    "max(x, 0) squared",
    lang::relu2(x),
    mlx::core::square(mlx::core::maximum(x, in_mlx::like(x, 0))));
ZMLX_ACTIVATION(silu, "x sigmoid(x)", lang::silu(x), in_mlx::silu(x));
ZMLX_ACTIVATION(gelu, "x Phi(x), by erf", lang::gelu(x), in_mlx::gelu(x));
ZMLX_ACTIVATION(
    gelu_tanh,
    "x Phi(x), by tanh",
    lang::gelu_tanh(x),
    in_mlx::gelu_tanh(x));
ZMLX_ACTIVATION(
    softplus,
    "max(x, 0) + log1p(exp(-abs x))",
    lang::softplus(x),
    in_mlx::softplus(x));
ZMLX_ACTIVATION(
    mish,
    "x tanh(softplus x)",
    lang::mish(x),
    x* mlx::core::tanh(in_mlx::softplus(x)));

#undef ZMLX_ACTIVATION

ZMLX_API inline const op::Op log{
    "log",
    "natural logarithm",
    activation(
        [](const lang::Expr& x) { return lang::log(x); },
        {{}, 0.01, 30}),
    unary_in_mlx([](const mlx::core::array& x) { return mlx::core::log(x); })};

/// y = elu(x, alpha).
ZMLX_API inline const op::Op elu{
    "elu",
    "x if x > 0 else alpha expm1(x)",
    [](lang::Define& k) {
      auto x = k.input("x"), alpha = k.scalar("alpha");
      k.output_like(lang::elu(x, alpha), x);
      k.fill(alpha, {lang::Type::F32, 0.5, 2});
      k.cases(map_cases(1, 1));
    },
    [](const in_mlx::Arrays& in, const lang::Attributes&) {
      namespace mx = mlx::core;
      const auto &x = in[0], alpha = in_mlx::to_type_of(x, in[1]);
      return in_mlx::Arrays{
          mx::where(x > in_mlx::like(x, 0), x, alpha * mx::expm1(x))};
    }};

} // namespace zmlx::kernels
