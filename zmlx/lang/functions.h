#pragma once

#include "zmlx/lang/expr.h"

namespace zmlx::lang {

// Composites: formulas over the primitives, each in the form that is stable
// for every finite argument and keeps NaN. "A row" is the last axis.

// clang-format off
inline Expr square(Expr x) { return x * x; }
inline Expr reciprocal(Expr x) { return 1.0 / x; }
inline Expr trunc(Expr x) { return select(x < 0, ceil(x), floor(x)); }
/// -1, 0 or 1; NaN stays.
inline Expr sign(Expr x) { return select(x > 0, 1, select(x < 0, -1, x)); }
inline Expr is_nan(Expr x) { return x != x; }
inline Expr clip(Expr x, Expr low, Expr high) { return min(max(x, low), high); }
inline Expr tan(Expr x) { return sin(x) / cos(x); }
inline Expr exp2(Expr x) { return pow(2.0, x); }
inline Expr log2(Expr x) { return log(x) * 1.4426950408889634; }
inline Expr log10(Expr x) { return log(x) * 0.4342944819032518; }
/// log(exp(a) + exp(b)).
inline Expr logaddexp(Expr a, Expr b) {
  return max(a, b) + log1p(exp(-abs(a - b)));
}

inline Expr relu(Expr x) { return max(x, 0); }
inline Expr relu2(Expr x) { return square(relu(x)); }
inline Expr silu(Expr x) { return x * sigmoid(x); }
/// x Phi(x), Phi the distribution function of a standard normal value.
inline Expr gelu(Expr x) { return 0.5 * x * (1.0 + erf(x * 0.7071067811865476)); }
/// The tanh form of gelu.
inline Expr gelu_tanh(Expr x) {
  return 0.5 * x * (1.0 + tanh(0.7978845608 * (x + 0.044715 * x * x * x)));
}
inline Expr softplus(Expr x) { return max(x, 0) + log1p(exp(-abs(x))); }
inline Expr mish(Expr x) { return x * tanh(softplus(x)); }
inline Expr elu(Expr x, Expr alpha) { return select(x > 0, x, alpha * expm1(x)); }

// Of a row. The largest value only keeps exp within range: it cancels, so that
// no derivative flows through it.
inline Expr softmax(Expr x) {
  Expr e = exp(x - stop_gradient(max_of(x)));
  return e / sum(e);
}
inline Expr logsumexp(Expr x) {
  Expr m = stop_gradient(max_of(x));
  return m + log(sum(exp(x - m)));
}
inline Expr log_softmax(Expr x) {
  Expr d = x - stop_gradient(max_of(x));
  return d - log(sum(exp(d)));
}
/// Of the population, about the mean: a pass for each.
inline Expr var(Expr x) { return mean(square(x - mean(x))); }
inline Expr rms_norm(Expr x, Expr eps) {
  return x * rsqrt(mean(square(x)) + eps);
}
inline Expr rms_norm(Expr x, Expr w, Expr eps) { return rms_norm(x, eps) * w; }
inline Expr layer_norm(Expr x, Expr eps) {
  Expr d = x - mean(x);
  return d * rsqrt(mean(square(d)) + eps);
}
inline Expr layer_norm(Expr x, Expr gamma, Expr beta, Expr eps) {
  return layer_norm(x, eps) * gamma + beta;
}
// clang-format on

} // namespace zmlx::lang
