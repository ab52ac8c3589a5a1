#include "zmlx/op/reference_rows.h"

#include <limits>

#include "zmlx/base/errors.h"
#include "zmlx/lang/space.h"
#include "zmlx/op/convert.h"

namespace zmlx::op {

namespace {

using lang::Op;

mx::array u64(uint64_t value) {
  return mx::array(value, mx::uint64);
}

struct Halves {
  mx::array high;
  mx::array low;
};

// A product of 32-bit numbers held as uint64.
Halves multiply(const mx::array& a, uint64_t by, mx::Stream s) {
  const auto product = mx::multiply(a, u64(by), s);
  return {
      mx::right_shift(product, u64(32), s),
      mx::bitwise_and(product, u64(0xFFFFFFFF), s)};
}

mx::array mix(
    const mx::array& a,
    const mx::array& b,
    const mx::array& key,
    mx::Stream s) {
  return mx::bitwise_xor(mx::bitwise_xor(a, b, s), key, s);
}

mx::array bump(const mx::array& key, uint64_t by, mx::Stream s) {
  return mx::bitwise_and(mx::add(key, u64(by), s), u64(0xFFFFFFFF), s);
}

// NaN counts as the largest, the first one before others.
mx::array place_of_largest(const mx::array& x, mx::Stream s) {
  const auto nan = mx::isnan(x, s);
  const auto first_nan = mx::argmax(mx::astype(nan, mx::int32, s), -1, true, s);
  return mx::where(
      mx::any(nan, -1, true, s), first_nan, mx::argmax(x, -1, true, s), s);
}

// The first place whose value is the least of those that are numbers.
mx::array place_of_least(const mx::array& x, mx::Stream s) {
  const bool floating = mx::issubdtype(x.dtype(), mx::floating);
  const auto numbers = floating
      ? mx::where(
            mx::isnan(x, s),
            mx::array(std::numeric_limits<double>::infinity(), x.dtype()),
            x,
            s)
      : x;
  const auto least = mx::min(numbers, -1, true, s);
  return mx::argmax(
      mx::astype(mx::equal(x, least, s), mx::int32, s), -1, true, s);
}

// Neutral elements; MLX raises for max and min.
mx::array of_nothing(Op op, mx::Dtype type, mx::Shape rows, mx::Stream s) {
  rows.back() = 1;
  const double infinity = std::numeric_limits<double>::infinity();
  const double value = op == Op::Prod ? 1
      : op == Op::MaxOf               ? -infinity
      : op == Op::MinOf               ? infinity
                                      : 0;
  const bool place = op == Op::ArgMax || op == Op::ArgMin;
  return mx::full(rows, mx::array(value, place ? mx::uint32 : type), s);
}

} // namespace

mx::array
random_bits(const mx::array& seed, const mx::Shape& space, mx::Stream s) {
  const auto places = static_cast<int>(lang::count(to_lang(space)));
  const auto place = mx::reshape(
      mx::astype(mx::arange(0, places, 1, mx::int64, s), mx::uint64, s),
      space,
      s);
  const auto key = mx::astype(seed, mx::uint64, s);
  auto k0 = mx::bitwise_and(key, u64(0xFFFFFFFF), s);
  auto k1 = mx::right_shift(key, u64(32), s);
  const auto counter = mx::right_shift(place, u64(2), s);
  auto c0 = mx::bitwise_and(counter, u64(0xFFFFFFFF), s);
  auto c1 = mx::right_shift(counter, u64(32), s);
  auto c2 = u64(0), c3 = u64(0);
  for (int round = 0; round < 10; ++round) {
    const auto a = multiply(c0, 0xD2511F53, s);
    const auto b = multiply(c2, 0xCD9E8D57, s);
    c0 = mix(b.high, c1, k0, s);
    c1 = b.low;
    c2 = mix(a.high, c3, k1, s);
    c3 = a.low;
    k0 = bump(k0, 0x9E3779B9, s);
    k1 = bump(k1, 0xBB67AE85, s);
  }
  const auto word = mx::bitwise_and(place, u64(3), s);
  const auto is = [&](uint64_t n) { return mx::equal(word, u64(n), s); };
  const auto bits = mx::where(
      is(0), c0, mx::where(is(1), c1, mx::where(is(2), c2, c3, s), s), s);
  return mx::astype(bits, mx::uint32, s);
}

mx::array running_sum(const mx::array& x, lang::ScanOrder order, mx::Stream s) {
  using lang::ScanOrder;
  const bool reverse =
      order == ScanOrder::Reverse || order == ScanOrder::ReverseExclusive;
  const bool inclusive =
      order == ScanOrder::Forward || order == ScanOrder::Reverse;
  // In float64 where the device has it.
  const bool wide = s.device.type == mx::Device::cpu &&
      mx::issubdtype(x.dtype(), mx::floating);
  return mx::astype(
      mx::cumsum(
          wide ? mx::astype(x, mx::float64, s) : x, -1, reverse, inclusive, s),
      x.dtype(),
      s);
}

mx::array top_places(const mx::array& row, int k, mx::Stream s) {
  // Places are constants to a derivative of the values taken there.
  const auto x = mx::stop_gradient(row, s);
  // MLX's sort is stable: by value, then NaN to the front.
  const auto nan = mx::isnan(x, s);
  const auto floats = mx::astype(
      x, mx::issubdtype(x.dtype(), mx::floating) ? x.dtype() : mx::float64, s);
  const auto key = mx::where(
      nan,
      mx::array(-std::numeric_limits<double>::infinity(), floats.dtype()),
      mx::negative(floats, s),
      s);
  const auto by_value = mx::argsort(key, -1, s);
  const auto number = mx::take_along_axis(
      mx::astype(mx::logical_not(nan, s), mx::int32, s), by_value, -1, s);
  const auto all =
      mx::take_along_axis(by_value, mx::argsort(number, -1, s), -1, s);
  mx::Shape start(x.ndim(), 0), stop = x.shape();
  stop.back() = k;
  return mx::astype(mx::slice(all, start, stop, s), mx::uint32, s);
}

mx::array reduced(Op op, const mx::array& x, mx::Stream s) {
  if (x.size() == 0) {
    return of_nothing(op, x.dtype(), x.shape(), s);
  }
  switch (op) {
    case Op::Sum:
      return mx::sum(x, -1, true, s);
    case Op::Prod:
      return mx::prod(x, -1, true, s);
    case Op::MaxOf:
      return mx::max(x, -1, true, s);
    case Op::MinOf:
      return mx::min(x, -1, true, s);
    case Op::ArgMax:
      return place_of_largest(x, s);
    case Op::ArgMin:
      return place_of_least(x, s);
    default:
      throw internal_error("reference: no rule for '{}'", lang::name_of(op));
  }
}

} // namespace zmlx::op
