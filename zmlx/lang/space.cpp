#include "zmlx/lang/space.h"

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

int64_t count(std::span<const int64_t> shape) {
  int64_t n = 1;
  for (int64_t length : shape) {
    n *= length;
  }
  return n;
}

} // namespace zmlx::lang
