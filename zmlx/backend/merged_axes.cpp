#include "zmlx/backend/merged_axes.h"

#include <fmt/ranges.h>

#include "zmlx/base/errors.h"

namespace zmlx::backend {

MergedAxes::MergedAxes(
    const View& view,
    const lang::Shape& space,
    const char* who) {
  const size_t rank = view.shape.size();
  if (view.strides.size() != rank || rank > space.size()) {
    throw internal_error(
        "{}: shape ({}) with {} strides does not fit the space ({})",
        who,
        fmt::join(view.shape, ", "),
        view.strides.size(),
        fmt::join(space, ", "));
  }
  for (size_t axis = 0; axis < space.size(); ++axis) {
    const bool has = axis + rank >= space.size();
    const size_t own = axis + rank - space.size();
    const int64_t extent = has ? view.shape[own] : 1;
    if (extent != 1 && extent != space[axis]) {
      throw internal_error(
          "{}: shape ({}) does not broadcast to ({})",
          who,
          fmt::join(view.shape, ", "),
          fmt::join(space, ", "));
    }
    empty_ = empty_ || extent == 0;
    const int64_t stride = extent == 1 ? 0 : view.strides[own];
    if (space[axis] <= 1) {
      continue; // an empty axis has no places to tell apart
    }
    if (!extent_.empty() && stride_.back() == stride * space[axis]) {
      extent_.back() *= space[axis];
      stride_.back() = stride;
    } else {
      extent_.push_back(space[axis]);
      stride_.push_back(stride);
    }
  }
  if (extent_.empty()) {
    extent_.push_back(1);
    stride_.push_back(0);
  }
}

} // namespace zmlx::backend
