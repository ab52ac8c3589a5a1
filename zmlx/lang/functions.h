#pragma once

#include "zmlx/lang/expr.h"

/// Composites: formulas over the operations, in their stable form. Text and
/// C++ know them by these names.
namespace zmlx::lang {

// clang-format off
inline Expr silu(Expr x) { return x * sigmoid(x); }
inline Expr relu(Expr x) { return max(x, 0); }
/// x Phi(x).
inline Expr gelu(Expr x) { return 0.5 * x * (1 + erf(x * 0.7071067811865476)); }
inline Expr gelu_tanh(Expr x) { return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * (x * x * x)))); }
inline Expr softplus(Expr x) { return max(x, 0) + log1p(exp(-abs(x))); }
inline Expr mish(Expr x) { return x * tanh(softplus(x)); }
inline Expr square(Expr x) { return x * x; }
/// x if x > 0 else alpha expm1(x); min keeps the branch not taken finite.
inline Expr elu(Expr x, Expr alpha) { return select(x > 0, x, alpha * expm1(min(x, 0))); }
// clang-format on

} // namespace zmlx::lang
