// The functions of float32 vectors. Included once for each instruction set.
#if defined(ZMLX_BACKEND_CPU_VECTOR_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ZMLX_BACKEND_CPU_VECTOR_MATH_INL_H_
#undef ZMLX_BACKEND_CPU_VECTOR_MATH_INL_H_
#else
#define ZMLX_BACKEND_CPU_VECTOR_MATH_INL_H_
#endif

#include <cmath>
#include <limits>

#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#include "zmlx/backend/cpu/erf_table.h"
#include "zmlx/backend/cpu/exp_table.h"
#include "zmlx/backend/cpu/sine_table.h"
#include "zmlx/backend/cpu/vector.h"

HWY_BEFORE_NAMESPACE();
namespace zmlx::backend::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// x / y by one reciprocal where y is one number for all: with a correction by
// what is left, the quotient rounds as the division does (Markstein,
// "Computation of elementary functions on the IBM RISC System/6000 processor",
// 1990), but for results below the normal numbers and for x below 2^-102, of
// which what is left has too few bits: there it may be one unit off.
template <class D, class V>
HWY_INLINE V divide_by_one(D d, V x, V y, V reciprocal) {
  const V q = hn::Mul(x, reciprocal);
  // An exact 0 has the sign of q.
  const V r =
      hn::CopySign(hn::MulAdd(hn::NegMulAdd(q, y, x), reciprocal, q), q);
  const auto lost = hn::IsNaN(r); // infinities among the steps, or NaN
  return HWY_LIKELY(hn::AllFalse(d, lost)) ? r : hn::Div(x, y);
}

// Whether divide_by_one may divide by this number.
HWY_INLINE bool divides_by_reciprocal(float y) {
  return HWY_NATIVE_FMA != 0 && std::abs(y) > 1e-30f && std::abs(y) < 1e30f;
}

// The sum of c[N - 1 - i] x^i.
template <class D, class V, size_t N>
HWY_INLINE V polynomial(D d, V x, const float (&c)[N]) {
  V p = hn::Set(d, c[0]);
  for (size_t k = 1; k < N; ++k) {
    p = hn::MulAdd(p, x, hn::Set(d, c[k]));
  }
  return p;
}

template <class D, class V>
HWY_INLINE V keep_nan(D, V x, V result) {
  return hn::IfThenElse(hn::IsNaN(x), x, result);
}

// The same after x came through Min(limit, x) and Max(limit, x), which with
// AVX-512 give the second operand where one is NaN.
template <class D, class V>
HWY_INLINE V keep_limited_nan(D d, V x, V result) {
#if HWY_TARGET == HWY_AVX3
  static_cast<void>(d);
  static_cast<void>(x);
  return result;
#else
  return keep_nan(d, x, result);
#endif
}

// The lanes of `result` in `bad` computed anew from x and y by the C library,
// lane by lane, so that a value never depends on its neighbours.
template <class D, class V, class M, typename F>
HWY_INLINE V repair(D d, V x, V y, V result, M bad, F f) {
  if (HWY_LIKELY(hn::AllFalse(d, bad))) {
    return result;
  }
  alignas(64) float xs[hn::MaxLanes(d)], ys[hn::MaxLanes(d)];
  alignas(64) float out[hn::MaxLanes(d)], wrong[hn::MaxLanes(d)];
  hn::Store(x, d, xs);
  hn::Store(y, d, ys);
  hn::Store(result, d, out);
  hn::Store(hn::IfThenElseZero(bad, hn::Set(d, 1.0f)), d, wrong);
  for (size_t i = 0; i < hn::Lanes(d); ++i) {
    if (wrong[i] != 0) {
      out[i] = f(xs[i], ys[i]);
    }
  }
  return hn::Load(d, out);
}

// The same by a function of x alone.
template <class D, class V, class M>
HWY_INLINE V repair(D d, V x, V result, M bad, float (*f)(float)) {
  return repair(d, x, x, result, bad, [f](float v, float) { return f(v); });
}

// table[index] for 0 <= index < 16; only its last four bits count where there
// is AVX-512.
template <class D, class VI>
HWY_INLINE hn::Vec<D> look_up(D d, const float* table, VI index) {
#if HWY_TARGET == HWY_AVX3
  return hn::Vec<D>{_mm512_permutexvar_ps(index.raw, hn::Load(d, table).raw)};
#else
  return hn::GatherIndex(d, table, index);
#endif
}

#if HWY_TARGET == HWY_AVX3
// What exp_table.h says of x, except for T: n = k + j / 16, p = exp(r) - 1.
template <class D, class V>
HWY_INLINE V exp_parts(D d, V x, V& shifted, V& n) {
  const auto set = [d](float c) HWY_ATTR { return hn::Set(d, c); };
  shifted = hn::MulAdd(x, set(kPerLog2), set(kExpShift));
  n = hn::Sub(shifted, set(kExpShift));
  V r = hn::NegMulAdd(n, set(kLog2High), x);
  r = hn::NegMulAdd(n, set(kLog2Low), r);
  const V p = hn::MulAdd(set(kExpCube), r, set(kExpSquare));
  return hn::MulAdd(hn::Mul(p, r), r, r);
}

// exp for -104 <= x <= 104; NaN stays. The machine scales by 2^k, subnormal
// results too.
template <class D, class V>
HWY_INLINE V exp_within(D d, V x) {
  const hn::RebindToSigned<D> di;
  V shifted, n;
  const V p = exp_parts(d, x, shifted, n);
  const V t = look_up(d, kExpPowers, hn::BitCast(di, shifted));
  return V{_mm512_scalef_ps(hn::MulAdd(t, p, t).raw, n.raw)};
}

// exp for -87 <= x <= 87: 2^k by additions to the bits, for which other units
// have more time than for that scaling.
template <class D, class V>
HWY_INLINE V exp_moderate(D d, V x) {
  const hn::RebindToSigned<D> di;
  V shifted, n;
  const V p = exp_parts(d, x, shifted, n);
  const auto bits = hn::BitCast(di, shifted);
  const auto t = hn::BitCast(di, look_up(d, kExpBits.data(), bits));
  const V s = hn::BitCast(d, hn::Add(t, hn::ShiftLeft<kExpExponent>(bits)));
  return hn::MulAdd(s, p, s);
}

template <class D, class V>
HWY_INLINE V exp_any(D d, V x) {
  // The second operand is the result where one is NaN.
  return exp_within(
      d, hn::Max(hn::Set(d, -104.0f), hn::Min(hn::Set(d, 104.0f), x)));
}
#else
template <class D, class V>
HWY_INLINE V exp_moderate(D d, V x) {
  return hn::Exp(d, x);
}

template <class D, class V>
HWY_INLINE V exp_any(D d, V x) {
  return keep_nan(d, x, hn::Exp(d, hn::Min(x, hn::Set(d, 104.0f))));
}
#endif

// 1 / b for b far from the ends of the range. With AVX-512 one step of Newton's
// is a fraction of a division.
template <class D, class V>
HWY_INLINE V reciprocal_of(D d, V b) {
#if HWY_TARGET == HWY_AVX3
  const V y = hn::ApproximateReciprocal(b);
  return hn::MulAdd(y, hn::NegMulAdd(b, y, hn::Set(d, 1.0f)), y);
#else
  return hn::Div(hn::Set(d, 1.0f), b);
#endif
}

// a / b for b and a / b far from the ends of the range.
template <class D, class V>
HWY_INLINE V divide_moderate(D d, V a, V b) {
#if HWY_TARGET == HWY_AVX3
  static_cast<void>(d);
  const V y = hn::ApproximateReciprocal(b);
  const V q = hn::Mul(a, y);
  return hn::MulAdd(hn::NegMulAdd(q, b, a), y, q);
#else
  static_cast<void>(d);
  return hn::Div(a, b);
#endif
}

// 2^n for integers -126 <= n <= 127.
template <class D, class V>
HWY_INLINE V power_of_two(D d, V n) {
  const hn::RebindToSigned<D> di;
  const auto exponent = hn::Add(hn::ConvertTo(di, n), hn::Set(di, 127));
  return hn::BitCast(d, hn::ShiftLeft<23>(exponent));
}

// The integer nearest to x factor, for less than 2^22 of it.
template <class D, class V>
HWY_INLINE V nearest_integer(D d, V x, float factor) {
  const V shift = hn::Set(d, 0x1.8p23f); // leaves no bits for a fraction
  return hn::Sub(hn::MulAdd(x, hn::Set(d, factor), shift), shift);
}

// 1 / (1 + exp(-x)); where that is subnormal or nearly so, exp(x) is the same.
template <class D, class V>
HWY_INLINE V sigmoid_any(D d, V x) {
  const V least = hn::Set(d, -87.0f);
  const V t = hn::Max(least, hn::Min(hn::Set(d, 87.0f), x));
  const V e = exp_moderate(d, hn::Neg(t));
  const V r =
      keep_limited_nan(d, x, reciprocal_of(d, hn::Add(e, hn::Set(d, 1.0f))));
  const auto small = hn::Lt(x, least);
  if (HWY_LIKELY(hn::AllFalse(d, small))) {
    return r;
  }
  return hn::IfThenElse(small, exp_any(d, x), r);
}

// With x = n log(2) / 2 + h and g = (exp(2 h) - 1) / 2 (kTanh): e = (exp(2 x) -
// 1) / 2 = 2^n g + (2^n - 1) / 2 and tanh = e / (e + 1).
template <class D, class V>
HWY_INLINE V tanh_any(D d, V x) {
  const auto set = [d](float c) HWY_ATTR { return hn::Set(d, c); };
  // tanh(10) rounds to 1.
  const V t = hn::Max(set(-10.0f), hn::Min(set(10.0f), x));
  const V n = nearest_integer(d, t, 2 * kPerLog2);
  V h = hn::NegMulAdd(n, set(kLog2High / 2), t);
  h = hn::NegMulAdd(n, set(kLog2Low / 2), h);
  const V g = hn::MulAdd(hn::Mul(h, h), polynomial(d, h, kTanh), h);
  const V s = power_of_two(d, n);
  const V e = hn::MulAdd(s, g, hn::MulSub(s, set(0.5f), set(0.5f)));
  const V r = divide_moderate(d, e, hn::Add(e, set(1.0f)));
  return keep_limited_nan(d, x, hn::CopySign(r, x)); // -0 too
}

// t P(u) with the P of t's part of the table.
template <class D, class V>
HWY_INLINE V erf_any(D d, V x) {
  const auto set = [d](float c) HWY_ATTR { return hn::Set(d, c); };
  const hn::RebindToSigned<D> di;
  const V size = hn::Abs(x), t = hn::Min(set(3.98f), size);
  // Added to this number, the last bits are the nearest integer.
  const V shift = set(0x1.8p23f);
  const V shifted = hn::MulAdd(t, set(1 / kErfStep), shift);
  const auto part = hn::And(hn::BitCast(di, shifted), hn::Set(di, 15));
  const V u = hn::NegMulAdd(hn::Sub(shifted, shift), set(kErfStep), t);
  V p = look_up(d, kErf[5], part);
  for (int k = 4; k >= 0; --k) {
    p = hn::MulAdd(p, u, look_up(d, kErf[k], part));
  }
  const V r = hn::Min(set(1.0f), hn::Mul(p, size)); // beyond 3.98: 1
  return keep_limited_nan(d, x, hn::CopySign(r, x));
}

// Without products rounded together with a sum, n pi / 2 is not exact enough:
// sin and cos are then the C library's.
#if HWY_NATIVE_FMA
// sin(x + quarters pi / 2), without what is too far.
template <class D, class V>
HWY_INLINE V sine_within(D d, V x, int quarters) {
  const auto set = [d](float c) HWY_ATTR { return hn::Set(d, c); };
  const hn::RebindToSigned<D> di;
  // Added to this number, the last bits are the nearest integer.
  const V shift = set(0x1.8p23f);
  const V shifted = hn::MulAdd(x, set(kPerQuarter), shift);
  const V n = hn::Sub(shifted, shift);
  V r = x;
  for (const float part : kQuarter) {
    r = hn::NegMulAdd(n, set(part), r);
  }
  const V s = hn::Mul(r, r);
  const auto turn = hn::Add(hn::BitCast(di, shifted), hn::Set(di, quarters));
  const auto odd =
      hn::RebindMask(d, hn::Ne(hn::And(turn, hn::Set(di, 1)), hn::Zero(di)));
  const auto coefficient = [&](int k) HWY_ATTR {
    return hn::IfThenElse(odd, set(kSine[k][1]), set(kSine[k][0]));
  };
  V p = coefficient(3);
  for (int k = 2; k >= 0; --k) {
    p = hn::MulAdd(p, s, coefficient(k));
  }
  const V sign =
      hn::And(hn::BitCast(d, hn::ShiftLeft<30>(turn)), hn::SignBit(d));
  const V b = hn::Xor(hn::IfThenElse(odd, set(1.0f), r), sign);
  return hn::CopySign(hn::MulAdd(hn::Mul(b, s), p, b), b); // -0 too
}

template <class D, class V>
HWY_INLINE auto too_far(D d, V x) {
  return hn::Not(hn::Le(hn::Abs(x), hn::Set(d, kSineLimit)));
}

template <class D, class V>
HWY_INLINE V sin_any(D d, V x) {
  return repair(d, x, sine_within(d, x, 0), too_far(d, x), &std::sin);
}

template <class D, class V>
HWY_INLINE V cos_any(D d, V x) {
  return repair(d, x, sine_within(d, x, 1), too_far(d, x), &std::cos);
}
#endif

#if HWY_TARGET == HWY_AVX3
// x = 2^e (1 + z) with the log(1 + z) of kLog. The machine's parts of x know
// zero, infinities and subnormal numbers, and give NaN below zero.
template <class D, class V>
HWY_INLINE V log_any(D d, V x) {
  const auto set = [d](float c) HWY_ATTR { return hn::Set(d, c); };
  const V m{_mm512_getmant_ps(x.raw, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan)};
  const V e{_mm512_sub_ps(_mm512_getexp_ps(x.raw), _mm512_getexp_ps(m.raw))};
  const V z = hn::Sub(m, set(1.0f)), s = hn::Mul(z, z);
  const V q = polynomial(d, z, kLog);
  const V low = hn::MulAdd(q, s, hn::Mul(e, set(kLog2Low)));
  return hn::MulAdd(e, set(kLog2High), hn::Add(z, low));
}
#else
template <class D, class V>
HWY_INLINE V log_any(D d, V x) {
  const auto good = hn::And(
      hn::Gt(x, hn::Zero(d)),
      hn::Le(x, hn::Set(d, std::numeric_limits<float>::max())));
  return repair(d, x, hn::Log(d, x), hn::Not(good), &std::log);
}
#endif

template <class D, class V>
HWY_INLINE V log1p_any(D d, V x) {
  const auto good = hn::And(
      hn::Ge(x, hn::Set(d, -0.5f)),
      hn::Le(x, hn::Set(d, std::numeric_limits<float>::max())));
  return repair(d, x, hn::Log1p(d, x), hn::Not(good), &std::log1p);
}

// Powers of positive finite numbers through float64: its 53 bits hold
// y log(x) with more digits than the result needs.
template <class DF, class VF>
HWY_INLINE VF pow_positive(DF df, VF x, VF y) {
  const hn::Rebind<double, DF> d;
  const auto limit = hn::Set(d, 300.0);
  auto e = hn::Mul(hn::PromoteTo(d, y), hn::Log(d, hn::PromoteTo(d, x)));
  e = hn::Max(hn::Min(e, limit), hn::Neg(limit));
  return hn::DemoteTo(df, hn::Exp(d, e));
}

template <class D, class V>
HWY_INLINE V pow_any(D d, V x, V y) {
  const V big = hn::Set(d, std::numeric_limits<float>::max());
  const auto good = hn::And(
      hn::And(hn::Gt(x, hn::Zero(d)), hn::Le(x, big)), hn::Le(hn::Abs(y), big));
  const V base = hn::IfThenElse(good, x, hn::Set(d, 1.0f));
  const V power = hn::IfThenElseZero(good, y);
#if HWY_TARGET == HWY_SCALAR
  const V result = pow_positive(d, base, power);
#else
  const hn::Half<D> half;
  const V result = hn::Combine(
      d,
      pow_positive(half, hn::UpperHalf(half, base), hn::UpperHalf(half, power)),
      pow_positive(
          half, hn::LowerHalf(half, base), hn::LowerHalf(half, power)));
#endif
  return repair(d, x, y, result, hn::Not(good), [](float base, float exponent) {
    return std::pow(base, exponent);
  });
}

// The upper halves are x rounded to nearest even; NaN stays one.
template <class D, class V>
HWY_INLINE auto bfloat16_bits(D, V x) {
  const hn::RebindToUnsigned<D> du;
  const auto bits = hn::BitCast(du, x);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
  const auto up = hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7FFF)));
  const auto quiet = hn::Or(bits, hn::Set(du, 0x400000));
  return hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(x)), quiet, up);
}

template <class D, class V>
HWY_INLINE V round_to_bfloat16(D d, V x) {
  const hn::RebindToUnsigned<D> du;
  return hn::BitCast(d, hn::And(bfloat16_bits(d, x), hn::Set(du, 0xFFFF0000u)));
}

// clang-format off
#define ZMLX_UNARY(NAME, VALUE) \
  struct NAME { template <class D, class V> HWY_INLINE auto operator()(D d, V x) const { static_cast<void>(d); return VALUE; } }
#define ZMLX_BINARY(NAME, VALUE) \
  struct NAME { template <class D, class V> HWY_INLINE auto operator()(D d, V x, V y) const { static_cast<void>(d); return VALUE; } }

ZMLX_UNARY(Neg, hn::Neg(x));
ZMLX_UNARY(Abs, hn::Abs(x));
ZMLX_UNARY(Exp, exp_any(d, x));
ZMLX_UNARY(Expm1, keep_nan(d, x, hn::Expm1(d, hn::Min(x, hn::Set(d, 104.0f)))));
ZMLX_UNARY(Log, log_any(d, x));
ZMLX_UNARY(Log1p, log1p_any(d, x));
ZMLX_UNARY(Sqrt, hn::Sqrt(x));
ZMLX_UNARY(Rsqrt, hn::Div(hn::Set(d, 1.0f), hn::Sqrt(x)));
#if HWY_NATIVE_FMA
ZMLX_UNARY(Sin, sin_any(d, x));
ZMLX_UNARY(Cos, cos_any(d, x));
#endif
ZMLX_UNARY(Tanh, tanh_any(d, x));
ZMLX_UNARY(Sigmoid, sigmoid_any(d, x));
ZMLX_UNARY(Erf, erf_any(d, x));
ZMLX_UNARY(Floor, hn::Floor(x));
ZMLX_UNARY(Ceil, hn::Ceil(x));
ZMLX_UNARY(Round, hn::Round(x));
ZMLX_UNARY(AsBfloat16, round_to_bfloat16(d, x));
ZMLX_BINARY(Add, hn::Add(x, y));
ZMLX_BINARY(Sub, hn::Sub(x, y));
ZMLX_BINARY(Mul, hn::Mul(x, y));
ZMLX_BINARY(Div, hn::Div(x, y));
ZMLX_BINARY(Pow, pow_any(d, x, y));
ZMLX_BINARY(Max, keep_nan(d, x, keep_nan(d, y, hn::Max(x, y))));
ZMLX_BINARY(Min, keep_nan(d, x, keep_nan(d, y, hn::Min(x, y))));
// clang-format on

#undef ZMLX_UNARY
#undef ZMLX_BINARY

} // namespace
} // namespace zmlx::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
