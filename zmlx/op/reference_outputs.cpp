#include "zmlx/op/reference_outputs.h"

#include <vector>

#include "zmlx/lang/space.h"
#include "zmlx/op/convert.h"
#include "zmlx/op/reference_reads.h"

namespace zmlx::op {

namespace {

mx::Shape places_of(mx::Shape space, bool one_per_row) {
  if (one_per_row && !space.empty()) {
    space.back() = 1;
  }
  return space;
}

// x summed over the axes along which `shape` broadcasts to it.
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

} // namespace

mx::array placed(
    const mx::array& value,
    const mx::Shape& space,
    const mx::Shape& shape,
    bool one_per_row,
    mx::Stream s) {
  if (!one_per_row) {
    return mx::broadcast_to(value, shape, s);
  }
  return mx::reshape(
      mx::broadcast_to(value, places_of(space, true), s), shape, s);
}

mx::array summed_like(
    const mx::array& value,
    const mx::Shape& space,
    const mx::Shape& meeting,
    const mx::Shape& shape,
    bool one_per_row,
    mx::Stream s) {
  const auto x = mx::broadcast_to(value, places_of(space, one_per_row), s);
  return mx::reshape(summed_to(x, meeting, s), shape, s);
}

mx::array summed_rows(
    const mx::array& value,
    const mx::array& row,
    const mx::Shape& space,
    const mx::Shape& shape,
    mx::Stream s) {
  const int width = shape.back();
  const mx::Shape lead(shape.begin(), shape.end() - 1);
  const auto rows = static_cast<int>(lang::count(to_lang(lead)));
  mx::Shape own = space;
  own.back() = width;
  const auto at = row_numbers(row, space, s);
  const auto valid = is_inside(at, rows, s);
  auto updates = mx::reshape(
      summed_to(mx::broadcast_to(value, space, s), own, s),
      {at.shape(0), 1, width},
      s);
  updates = mx::where(
      mx::reshape(valid, {at.shape(0), 1, 1}, s),
      updates,
      mx::array(0, value.dtype()),
      s);
  const auto start = mx::zeros({rows, width}, value.dtype(), s);
  if (updates.size() == 0 || rows == 0) {
    return mx::reshape(start, shape, s);
  }
  const auto index = mx::where(
      valid, mx::astype(at, mx::int32, s), mx::array(0, mx::int32), s);
  return mx::reshape(
      mx::scatter_add(start, {index}, updates, {0}, s), shape, s);
}

} // namespace zmlx::op
