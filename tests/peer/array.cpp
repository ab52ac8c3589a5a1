#include "tests/peer/array.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "tests/peer/memory.h"
#include "zmlx/backend/order.h"
#include "zmlx/base/errors.h"

namespace zmlx::test_peer {

Array find_array(const backend::View& view) {
  Array array{nullptr, view.type, view.shape, view.strides};
  backend::View placed = view;
  if (view.at) {
    int32_t named;
    std::memcpy(&named, reach(view.at, sizeof(named)), sizeof(named));
    const auto place = std::clamp<int64_t>(named, 0, view.places - 1);
    placed.at = {};
    placed.data = view.data + place * view.at_stride * array.item();
  }
  const auto extent = backend::extent_of(placed);
  const auto bytes = static_cast<size_t>(extent.end - extent.begin);
  if (bytes > 0) {
    array.data = reach(extent.begin, bytes) + (placed.data - extent.begin);
  }
  return array;
}

Walk::Walk(const Array& array, const lang::Shape& space)
    : data_(array.data),
      type_(array.type),
      item_(array.item()),
      space_(space),
      strides_(space.size()) {
  const size_t rank = array.shape.size();
  bool fits = rank <= space.size() && array.strides.size() == rank;
  for (size_t i = 0; fits && i < rank; ++i) {
    const size_t axis = space.size() - rank + i;
    fits = array.shape[i] == 1 || array.shape[i] == space[axis];
    strides_[axis] = array.shape[i] == 1 ? 0 : array.strides[i];
  }
  if (!fits) {
    throw internal_error(
        "test peer: shape ({}) with {} strides does not broadcast to ({})",
        fmt::join(array.shape, ", "),
        array.strides.size(),
        fmt::join(space, ", "));
  }
}

int64_t Walk::offset(int64_t place) const {
  if (space_.empty()) {
    return 0;
  }
  return offset(place / space_.back(), place % space_.back());
}

int64_t Walk::offset(int64_t row, int64_t place) const {
  int64_t offset = place * strides_.back();
  for (size_t axis = space_.size() - 1; axis-- > 0;) {
    offset += row % space_[axis] * strides_[axis];
    row /= space_[axis];
  }
  return offset;
}

lang::Strides row_major(const lang::Shape& shape) {
  lang::Strides strides(shape.size());
  int64_t step = 1;
  for (size_t axis = shape.size(); axis-- > 0;) {
    strides[axis] = step;
    step *= shape[axis];
  }
  return strides;
}

} // namespace zmlx::test_peer
