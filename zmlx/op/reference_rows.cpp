#include "zmlx/op/reference_rows.h"

#include <limits>

namespace zmlx::op {

namespace {

int count(const mx::Shape& shape) {
  int n = 1;
  for (int length : shape) {
    n *= length;
  }
  return n;
}

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

// (rows..., 1) as (rows): one number a row of the space.
mx::array
one_a_row(const mx::array& row, const mx::Shape& space, mx::Stream s) {
  mx::Shape rows = space;
  rows.back() = 1;
  return mx::reshape(mx::broadcast_to(row, rows, s), {count(rows)}, s);
}

mx::array is_row(const mx::array& at, int rows, mx::Stream s) {
  const auto place = mx::astype(at, mx::int64, s);
  return mx::logical_and(
      mx::greater_equal(place, mx::array(int64_t{0}), s),
      mx::less(place, mx::array(int64_t{rows}), s),
      s);
}

} // namespace

mx::array
random_bits(const mx::array& seed, const mx::Shape& space, mx::Stream s) {
  const auto place = mx::reshape(
      mx::astype(mx::arange(0, count(space), 1, mx::int64, s), mx::uint64, s),
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
  const bool wide =
      s.device == mx::Device::cpu && mx::issubdtype(x.dtype(), mx::floating);
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

mx::array taken(
    const mx::array& table,
    const mx::array& row,
    const mx::Shape& space,
    mx::Stream s) {
  const int width = table.shape(-1);
  const int rows = width == 0
      ? 0
      : static_cast<int>(table.size() / static_cast<size_t>(width));
  mx::Shape result = space;
  result.back() = width;
  if (rows == 0) {
    return mx::zeros(result, table.dtype(), s);
  }
  const auto at = one_a_row(row, space, s);
  const auto nearest = mx::clip(
      mx::astype(at, mx::int64, s),
      mx::array(int64_t{0}),
      mx::array(int64_t{rows - 1}),
      s);
  const auto found =
      mx::take(mx::reshape(table, {rows, width}, s), nearest, 0, s);
  return mx::reshape(
      mx::where(
          mx::reshape(is_row(at, rows, s), {at.shape(0), 1}, s),
          found,
          mx::array(0, table.dtype()),
          s),
      result,
      s);
}

mx::array summed_to(const mx::array& x, const mx::Shape& shape, mx::Stream s) {
  mx::Shape full(x.ndim() - shape.size(), 1);
  full.insert(full.end(), shape.begin(), shape.end());
  std::vector<int> axes;
  for (int axis = 0; axis < static_cast<int>(full.size()); ++axis) {
    if (full[axis] == 1 && x.shape(axis) != 1) {
      axes.push_back(axis);
    }
  }
  if (x.size() == 0) { // MLX's sum of an empty view need not come back
    return mx::zeros(shape, x.dtype(), s);
  }
  const auto sums = axes.empty() ? x : mx::sum(x, axes, true, s);
  return mx::reshape(sums, shape, s);
}

mx::array summed_rows(
    const mx::array& values,
    const mx::array& row,
    const mx::Shape& space,
    const mx::Shape& shape,
    mx::Stream s) {
  const int width = shape.back();
  mx::Shape lead(shape.begin(), shape.end() - 1);
  const int rows = count(lead);
  mx::Shape own = space;
  own.back() = width;
  const auto at = one_a_row(row, space, s);
  const auto valid = is_row(at, rows, s);
  auto updates = mx::reshape(
      summed_to(mx::broadcast_to(values, space, s), own, s),
      {at.shape(0), 1, width},
      s);
  updates = mx::where(
      mx::reshape(valid, {at.shape(0), 1, 1}, s),
      updates,
      mx::array(0, values.dtype()),
      s);
  const auto start = mx::zeros({rows, width}, values.dtype(), s);
  if (updates.size() == 0 || rows == 0) {
    return mx::reshape(start, shape, s);
  }
  const auto index = mx::where(
      valid, mx::astype(at, mx::int32, s), mx::array(0, mx::int32), s);
  return mx::reshape(
      mx::scatter_add(start, {index}, updates, {0}, s), shape, s);
}

} // namespace zmlx::op
