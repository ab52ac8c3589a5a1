#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "zmlx/backend/backend.h"

namespace zmlx::backend {

/// How the elements of a view lie under the places of a space, which are
/// numbered in row-major order. The view is broadcast to the space (axes
/// right-aligned, as MLX does), and neighbouring axes are merged into one where
/// their strides allow it, so that few are left. All but bytes is counted in
/// elements.
class MergedAxes {
 public:
  /// InternalError where the view does not broadcast to the space. `who` names
  /// the view in the message.
  MergedAxes(const View& view, const lang::Shape& space, const char* who);

  /// Whether the view has no elements.
  bool empty() const {
    return empty_;
  }
  /// Whether runs of `length` places that begin at multiples of `length` have
  /// elements at equal distances, which are then stride().
  bool steady(int64_t length) const {
    return extent_.back() % std::max<int64_t>(length, 1) == 0;
  }
  int64_t stride() const {
    return stride_.back();
  }

  /// Whether all places read one element.
  bool one() const {
    return std::ranges::all_of(stride_, [](int64_t s) { return s == 0; });
  }
  /// Whether the elements of all places follow each other in memory.
  bool adjacent() const {
    return extent_.size() == 1 && stride_[0] == 1;
  }
  /// Whether each place is the same element of the view as in the other.
  bool same_as(const MergedAxes& other) const {
    return extent_ == other.extent_ && stride_ == other.stride_;
  }

  /// From element 0 of the view to the element of a place.
  int64_t offset(int64_t place) const {
    int64_t offset = 0;
    for (size_t axis = extent_.size() - 1; axis > 0; --axis) {
      offset += place % extent_[axis] * stride_[axis];
      place /= extent_[axis];
    }
    return offset + place * stride_[0];
  }

  struct Stretch {
    int64_t count; // of places that follow each other at equal distances
    int64_t stride; // from one to the next
  };
  /// From a place on, for places that are `step` apart: 1, or the length of
  /// steady runs, of which the place is a multiple.
  Stretch stretch(int64_t place, int64_t step) const {
    size_t axis = extent_.size() - 1;
    for (; axis > 0 && step >= extent_[axis]; --axis) {
      place /= extent_[axis];
      step /= extent_[axis];
    }
    const int64_t stride = step * stride_[axis];
    if (axis == 0) {
      return {std::numeric_limits<int64_t>::max(), stride};
    }
    const int64_t extent = extent_[axis];
    return {(extent - place % extent) / step, stride};
  }

  /// Calls visit(place, count) for the runs of places, each with elements at
  /// distances of stride(), that these `n` places consist of.
  template <typename Visit>
  void for_runs(int64_t place, int64_t n, Visit visit) const {
    while (n > 0) {
      const int64_t extent = extent_.back();
      const int64_t run =
          extent_.size() == 1 ? n : std::min(n, extent - place % extent);
      visit(place, run);
      place += run;
      n -= run;
    }
  }

 private:
  bool empty_ = false;
  std::vector<int64_t> extent_; // outermost first, at least one
  std::vector<int64_t> stride_;
};

} // namespace zmlx::backend
