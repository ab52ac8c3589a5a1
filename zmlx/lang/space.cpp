#include "zmlx/lang/space.h"

#include "zmlx/base/errors.h"

namespace zmlx::lang {

Shape meeting_shape(Role role, Shape shape) {
  switch (role) {
    case Role::EachRow:
      shape.push_back(1);
      break;
    case Role::Row:
      shape.back() = 1;
      break;
    case Role::Table:
      shape = {shape.back()};
      break;
    default:
      break;
  }
  return shape;
}

std::optional<size_t> find_axis(const AxisLength& length, const Shape& shape) {
  const auto rank = static_cast<int>(shape.size());
  const int at = length.axis < 0 ? length.axis + rank : length.axis;
  if (at < 0 || at >= rank) {
    return {};
  }
  return static_cast<size_t>(at);
}

std::optional<int64_t> find_length(
    const AxisLength& length,
    std::span<const Shape> inputs) {
  if (length.input < 0) {
    return length.times;
  }
  const Shape& shape = inputs[length.input];
  const auto at = find_axis(length, shape);
  if (!at) {
    return {};
  }
  const int64_t times = shape[*at] * length.times;
  if (!length.up && times % length.over != 0) {
    return {};
  }
  return (times + length.over - 1) / length.over;
}

Shape meeting_space(
    std::span<const AxisLength> lengths,
    std::span<const Role> roles,
    std::span<const Shape> inputs) {
  Shape space;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (meets(roles[i])) {
      space = broadcast(space, meeting_shape(roles[i], inputs[i]));
    }
  }
  Shape last;
  for (const AxisLength& length : lengths) {
    const auto found = find_length(length, inputs);
    if (!found) {
      throw internal_error(
          "space: axis {} of input {} is not there, or {} does not divide it",
          length.axis,
          length.input,
          length.over);
    }
    last.push_back(*found);
  }
  return broadcast(space, last);
}

int64_t count(std::span<const int64_t> shape) {
  int64_t n = 1;
  for (int64_t length : shape) {
    n *= length;
  }
  return n;
}

} // namespace zmlx::lang
