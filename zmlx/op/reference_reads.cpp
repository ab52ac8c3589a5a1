#include "zmlx/op/reference_reads.h"

#include <algorithm>

#include "zmlx/lang/space.h"
#include "zmlx/op/convert.h"

namespace zmlx::op {

namespace {

// Places of an axis, those outside moved to its nearest end.
mx::array nearest(const mx::array& at, int length, mx::Stream s) {
  return mx::clip(
      mx::astype(at, mx::int64, s),
      mx::array(int64_t{0}),
      mx::array(int64_t{std::max(length - 1, 0)}),
      s);
}

} // namespace

mx::array
row_numbers(const mx::array& row, const mx::Shape& space, mx::Stream s) {
  mx::Shape rows = space;
  rows.back() = 1;
  const auto count = static_cast<int>(lang::count(to_lang(rows)));
  return mx::reshape(mx::broadcast_to(row, rows, s), {count}, s);
}

mx::array is_inside(const mx::array& at, int length, mx::Stream s) {
  const auto place = mx::astype(at, mx::int64, s);
  return mx::logical_and(
      mx::greater_equal(place, mx::array(int64_t{0}), s),
      mx::less(place, mx::array(int64_t{length}), s),
      s);
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
  const auto at = row_numbers(row, space, s);
  const auto found = mx::take(
      mx::reshape(table, {rows, width}, s), nearest(at, rows, s), 0, s);
  return mx::reshape(
      mx::where(
          mx::reshape(is_inside(at, rows, s), {at.shape(0), 1}, s),
          found,
          mx::array(0, table.dtype()),
          s),
      result,
      s);
}

mx::array picked(const mx::array& in, const mx::array& at, mx::Stream s) {
  const int width = in.shape(-1);
  const auto place = nearest(at, width, s);
  mx::Shape lead_in(in.shape().begin(), in.shape().end() - 1);
  mx::Shape lead_at(place.shape().begin(), place.shape().end() - 1);
  mx::Shape rows = mx::broadcast_shapes(lead_in, lead_at);
  mx::Shape all_in = rows, all_at = rows;
  all_in.push_back(width);
  all_at.push_back(place.shape(-1));
  if (width == 0) {
    return mx::zeros(all_at, in.dtype(), s);
  }
  return mx::where(
      is_inside(at, width, s),
      mx::take_along_axis(
          mx::broadcast_to(in, all_in, s),
          mx::broadcast_to(place, all_at, s),
          -1,
          s),
      mx::array(0, in.dtype()),
      s);
}

} // namespace zmlx::op
