#pragma once

#include "zmlx/lang/expr.h"

namespace zmlx::lang {

// Composites: formulas over the primitives, each in the form that is stable
// for every finite argument, keeps NaN, and has the right derivative also where
// its parts have kinks. "A row" is the last axis. Functions of real numbers
// compute in floats whatever they are given.

// clang-format off
inline Expr square(Expr x) { return x * x; }
inline Expr reciprocal(Expr x) { return 1.0 / x; }
inline Expr trunc(Expr x) { return select(x < 0, ceil(x), floor(x)); }
/// -1, 0 or 1; NaN stays.
inline Expr sign(Expr x) { return select(x > 0, 1, select(x < 0, -1, x)); }
inline Expr is_nan(Expr x) { return x != x; }
inline Expr is_finite(Expr x) { return x - x == 0; }
inline Expr is_inf(Expr x) { return !is_nan(x) && !is_finite(x); }
inline Expr clip(Expr x, Expr low, Expr high) { return min(max(x, low), high); }
/// x in the type in which it meets another value.
inline Expr beside(Expr x, Expr other) {
  return select(1, std::move(x), stop_gradient(std::move(other)));
}
/// Remainder of the quotient truncated: the sign of a, as C's. It is that of a
/// divisor with the sign of a; the least integer has no opposite, and all other
/// integers are their own remainders by it.
inline Expr fmod(Expr a, Expr b) {
  b = beside(b, a);
  Expr r = a % select((a < 0) == (b < 0), b, -b);
  return select(a > 0 && r < 0, a, r);
}
/// To integers, halves away from 0: C's round. Exact: x + 0.5 would not be.
inline Expr round_half_away(Expr x) {
  Expr t = trunc(x);
  return select(abs(x - t) == 0.5, t + sign(x), round(x));
}
inline Expr tan(Expr x) { return sin(x) / cos(x); }
inline Expr exp2(Expr x) { return pow(2.0, x); }
inline Expr log2(Expr x) { return log(x) * 1.4426950408889634; }
inline Expr log10(Expr x) { return log(x) * 0.4342944819032518; }
/// Where exp(x) is too large for its type, half of it need not be.
inline Expr sinh(Expr x) {
  x = real(std::move(x));
  Expr e = expm1(abs(x)), root = exp(0.5 * abs(x));
  Expr large = 0.5 * root * root;
  return sign(x) * select(is_finite(e), 0.5 * (e + e / (e + 1)), large);
}
inline Expr cosh(Expr x) {
  x = real(std::move(x));
  Expr e = exp(abs(x)), root = exp(0.5 * abs(x));
  return select(is_finite(e), 0.5 * (e + 1 / e), 0.5 * root * root);
}
/// log(exp(a) + exp(b)); equal infinities differ by 0.
inline Expr logaddexp(Expr a, Expr b) {
  a = real(std::move(a));
  b = real(std::move(b));
  Expr d = a - b;
  Expr less = select(is_nan(d), 0.0, select(d > 0, -d, d));
  return max(a, b) + log1p(exp(less));
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
inline Expr softplus(Expr x) {
  x = real(std::move(x));
  return max(x, 0) + log1p(exp(select(x > 0, -x, x)));
}
inline Expr mish(Expr x) { return x * tanh(softplus(x)); }
inline Expr elu(Expr x, Expr alpha) {
  Expr less = beside(select(x > 0, 0, x), alpha);
  return select(x > 0, x, alpha * expm1(less));
}

/// Even in [0, 1): the upper 24 bits, as many as float32 holds exactly.
inline Expr uniform(Expr seed) {
  return cast(Type::F32, random(std::move(seed)) >> 8) * 0x1p-24;
}

// Of a row. The maximum only keeps exp in range: the value does not depend on
// what is taken off, so its derivative with respect to it is 0, and stopping
// there leaves the exact gradient without the passes that find the largest
// place again and give it a sum that cancels.
inline Expr softmax(Expr x) {
  x = real(std::move(x));
  Expr e = exp(x - stop_gradient(max_of(x)));
  return e * (1.0 / sum(e)); // one division a row
}
/// The maximum where it is finite, else 0, so that a row of -inf has the sum 0
/// and one with +inf the sum inf.
inline Expr finite_max(Expr x) {
  Expr m = max_of(x);
  return stop_gradient(select(m - m == 0, m, 0.0));
}
inline Expr logsumexp(Expr x) {
  x = real(std::move(x));
  Expr m = finite_max(x);
  return m + log(sum(exp(x - m)));
}
inline Expr log_softmax(Expr x) {
  x = real(std::move(x));
  Expr d = x - stop_gradient(max_of(x));
  return d - log(sum(exp(d)));
}
/// Of the population, about the mean: a pass for each.
inline Expr var(Expr x) { return mean(square(x - mean(x))); }
inline Expr rms_norm(Expr x, Expr eps) {
  x = real(std::move(x));
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
