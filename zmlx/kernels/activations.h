#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/lang/functions.h"
#include "zmlx/op/op.h"

/// Activations: (x) -> y, any shape.
namespace zmlx::kernels {

/// The definition of y = f(x).
template <typename Function>
lang::Kernel::Definition activation(Function f) {
  return [f](lang::Define& k) {
    k.output(f(k.input("x")));
    k.cases(map_cases(1));
  };
}

#define ZMLX_ACTIVATION(name, summary, formula)               \
  ZMLX_API inline const op::Op name {                         \
#name, summary, activation([](const lang::Expr& x) {      \
      using namespace lang; /* NOLINT: one formula a scope */ \
      return formula;                                         \
    })                                                        \
  }

ZMLX_ACTIVATION(exp, "e to the x", lang::exp(x));
ZMLX_ACTIVATION(tanh, "hyperbolic tangent", lang::tanh(x));
ZMLX_ACTIVATION(sigmoid, "1 / (1 + exp(-x))", lang::sigmoid(x));
ZMLX_ACTIVATION(relu, "max(x, 0); keeps NaN", lang::relu(x));
ZMLX_ACTIVATION(relu2, "max(x, 0) squared", lang::square(lang::relu(x)));
ZMLX_ACTIVATION(silu, "x sigmoid(x)", lang::silu(x));
ZMLX_ACTIVATION(gelu, "x Phi(x), by erf", lang::gelu(x));
ZMLX_ACTIVATION(gelu_tanh, "x Phi(x), by tanh", lang::gelu_tanh(x));
ZMLX_ACTIVATION(softplus, "max(x, 0) + log1p(exp(-abs x))", lang::softplus(x));
ZMLX_ACTIVATION(mish, "x tanh(softplus x)", lang::mish(x));

#undef ZMLX_ACTIVATION

ZMLX_API inline const op::Op log{
    "log",
    "natural logarithm",
    [](lang::Define& k) {
      auto x = k.input("x");
      k.output(lang::log(x));
      k.fill(x, {{}, 0.01, 30});
      k.cases(map_cases(1));
    }};

ZMLX_API inline const op::Op elu{
    "elu",
    "x if x > 0 else alpha expm1(x)",
    [](lang::Define& k) {
      auto x = k.input("x"), alpha = k.scalar("alpha");
      k.output_like(lang::elu(x, alpha), x);
      auto cases = map_cases(1);
      for (auto& c : cases) {
        c.shapes.push_back({});
      }
      k.fill(alpha, {lang::Type::F32, 0.5, 2});
      k.cases(cases);
    }};

} // namespace zmlx::kernels
