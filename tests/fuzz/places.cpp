#include "tests/fuzz/places.h"

#include "zmlx/base/errors.h"

namespace zmlx::fuzz {
namespace {

using lang::Role;
using lang::Shape;

// How an input of this shape meets the others.
Shape meeting(Role role, Shape shape) {
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

void meet(Shape& space, const Shape& shape) {
  if (shape.size() > space.size()) {
    space.insert(space.begin(), shape.size() - space.size(), 1);
  }
  const size_t skip = space.size() - shape.size();
  for (size_t i = 0; i < shape.size(); ++i) {
    int64_t& length = space[skip + i];
    if (length != shape[i] && length != 1 && shape[i] != 1) {
      throw internal_error("fuzz: the inputs do not broadcast");
    }
    length = length == 1 ? shape[i] : length;
  }
}

std::optional<size_t> inside(Wide at, int64_t length) {
  return at < 0 || at >= length ? std::nullopt
                                : std::optional(static_cast<size_t>(at));
}

} // namespace

Places::Places(const lang::Body& body, std::vector<Shape> inputs)
    : inputs_(std::move(inputs)) {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    meet(space_, meeting(body.inputs[i].role, inputs_[i]));
  }
  for (int64_t length : space_) {
    count_ *= static_cast<size_t>(length);
  }
  width_ = space_.empty() ? 1 : static_cast<size_t>(space_.back());
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const Role role = body.inputs[i].role;
    elements_.push_back(elements_of(meeting(role, inputs_[i]), false));
    row_starts_.push_back(
        role == Role::Element || role == Role::Row
            ? elements_of(inputs_[i], true)
            : std::vector<size_t>());
  }
}

// The element of an array of this shape at each place, or where its row starts.
std::vector<size_t> Places::elements_of(Shape shape, bool row_starts) const {
  std::vector<size_t> strides(space_.size(), 0);
  size_t stride = 1;
  for (size_t back = 1; back <= shape.size(); ++back) {
    const int64_t length = shape[shape.size() - back];
    const bool broadcast = length == 1 || (row_starts && back == 1);
    strides[space_.size() - back] = broadcast ? 0 : stride;
    stride *= static_cast<size_t>(length);
  }
  std::vector<size_t> result(count_);
  std::vector<int64_t> at(space_.size(), 0);
  for (size_t place = 0; place < count_; ++place) {
    for (size_t axis = 0; axis < at.size(); ++axis) {
      result[place] += static_cast<size_t>(at[axis]) * strides[axis];
    }
    for (size_t axis = at.size(); axis-- > 0;) {
      if (++at[axis] < space_[axis]) {
        break;
      }
      at[axis] = 0;
    }
  }
  return result;
}

std::optional<size_t> Places::of_row(int input, size_t place, Wide at) const {
  const Shape& shape = inputs_.at(input);
  const auto found = inside(at, shape.empty() ? 1 : shape.back());
  return found ? std::optional(row_starts_.at(input)[place] + *found) : found;
}

std::optional<size_t> Places::of_table(int input, size_t place, Wide row)
    const {
  const Shape& shape = inputs_.at(input);
  int64_t rows = 1;
  for (size_t axis = 0; axis + 1 < shape.size(); ++axis) {
    rows *= shape[axis];
  }
  const auto found = inside(row, rows);
  const auto width = static_cast<size_t>(shape.back());
  return found ? std::optional(*found * width + elements_.at(input)[place])
               : found;
}

int64_t Places::extent(int input, int axis) const {
  const Shape& shape = inputs_.at(input);
  return shape.at(axis < 0 ? axis + shape.size() : axis);
}

} // namespace zmlx::fuzz
