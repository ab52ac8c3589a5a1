#include "zmlx/op/reference_integers.h"

namespace zmlx::op {

namespace {

mx::array is_minus_one(const mx::array& b, mx::Stream s) {
  return mx::issubdtype(b.dtype(), mx::unsignedinteger)
      ? mx::array(false)
      : mx::equal(b, mx::array(-1, b.dtype()), s);
}

// b, and 1 for what MLX cannot divide by.
mx::array by_safe(const mx::array& b, mx::Stream s) {
  const mx::array one(1, b.dtype());
  const auto fits = mx::not_equal(b, mx::array(0, b.dtype()), s);
  return mx::where(
      mx::logical_and(fits, mx::logical_not(is_minus_one(b, s), s), s),
      b,
      one,
      s);
}

} // namespace

mx::array
divide_integers(const mx::array& a, const mx::array& b, mx::Stream s) {
  const mx::array zero(0, a.dtype()), one(1, a.dtype());
  const auto by = by_safe(b, s);
  const auto q = mx::floor_divide(a, by, s);
  const auto rest = mx::subtract(a, mx::multiply(q, by, s), s);
  const auto rounded_down = mx::logical_and(
      mx::not_equal(rest, zero, s),
      mx::not_equal(mx::less(a, zero, s), mx::less(by, zero, s), s),
      s);
  const auto truncated = mx::where(rounded_down, mx::add(q, one, s), q, s);
  return mx::where(
      mx::equal(b, zero, s),
      zero,
      mx::where(is_minus_one(b, s), mx::negative(a, s), truncated, s),
      s);
}

mx::array
modulo_integers(const mx::array& a, const mx::array& b, mx::Stream s) {
  // By one or by what stands in for 0 and -1 there is no rest.
  return mx::remainder(a, by_safe(b, s), s);
}

mx::array
power_of_integers(const mx::array& a, const mx::array& b, mx::Stream s) {
  const mx::array zero(0, a.dtype()), one(1, a.dtype());
  const auto odd = mx::not_equal(mx::bitwise_and(b, one, s), zero, s);
  const auto unit = mx::logical_or(
      mx::equal(a, one, s), mx::logical_and(is_minus_one(a, s), odd, s), s);
  const auto inverse =
      mx::where(unit, a, mx::where(is_minus_one(a, s), one, zero, s), s);
  return mx::where(mx::less(b, zero, s), inverse, mx::power(a, b, s), s);
}

} // namespace zmlx::op
