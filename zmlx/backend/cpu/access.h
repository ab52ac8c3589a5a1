#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "zmlx/backend/cpu/launch.h"

namespace zmlx::backend::cpu {

/// A view walked along a space of places, in row-major order: broadcast to it
/// (axes right-aligned, as MLX does), with axes merged where the strides allow.
class Access {
 public:
  /// InternalError where the view does not broadcast to the space, or its
  /// memory is null though it has elements. `who` names it.
  Access(const View& view, const lang::Shape& space, const char* who);

  lang::Type type() const {
    return type_;
  }
  bool empty() const {
    return empty_;
  }
  /// The stride, in elements, of each run of `length` places that begins at a
  /// multiple of `length`; nothing steady: false.
  bool steady(int64_t length) const {
    return extent_.back() % std::max<int64_t>(length, 1) == 0;
  }
  int64_t stride() const {
    return stride_.back();
  }

  /// Whether all places are one element.
  bool one() const {
    return std::ranges::all_of(stride_, [](int64_t s) { return s == 0; });
  }
  /// Whether all places follow each other in memory.
  bool adjacent() const {
    return extent_.size() == 1 && stride_[0] == 1;
  }

  /// Elements from element 0 to that of a place.
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
    int64_t bytes; // from one to the next
  };
  /// From a place on, for places that are `step` apart: 1, or the length of
  /// steady runs, of which the place is a multiple.
  Stretch stretch(int64_t place, int64_t step) const {
    size_t axis = extent_.size() - 1;
    for (; axis > 0 && step >= extent_[axis]; --axis) {
      place /= extent_[axis];
      step /= extent_[axis];
    }
    const int64_t bytes = step * stride_[axis] * size_;
    if (axis == 0) {
      return {std::numeric_limits<int64_t>::max(), bytes};
    }
    const int64_t extent = extent_[axis];
    return {(extent - place % extent) / step, bytes};
  }

  char* at(int64_t place) const {
    const int64_t first = at_ ? *at_ * at_stride_ : 0;
    return data_ + (first + offset(place)) * size_;
  }

  /// Calls visit(memory, n) for the runs, each of stride(), of n places.
  template <typename Visit>
  void for_runs(int64_t place, int64_t n, Visit visit) const {
    while (n > 0) {
      const int64_t extent = extent_.back();
      const int64_t run =
          extent_.size() == 1 ? n : std::min(n, extent - place % extent);
      visit(at(place), run);
      place += run;
      n -= run;
    }
  }

  /// The same walk over other memory.
  void move_to(void* data) {
    data_ = static_cast<char*>(data);
  }

  /// Whether the memory is known before it runs.
  bool fixed() const {
    return !at_;
  }
  /// Whether each place is the same bytes in both.
  bool same_places(const Access& other) const {
    return data_ == other.data_ && size_ == other.size_ && !at_ && !other.at_ &&
        extent_ == other.extent_ && stride_ == other.stride_;
  }
  /// Whether both may touch a byte in common.
  bool overlaps(const Access& other) const {
    return low_ < other.high_ && other.low_ < high_;
  }
  /// It may touch what the other may touch.
  void reach(const Access& other) {
    low_ = std::min(low_, other.low_);
    high_ = std::max(high_, other.high_);
  }

 private:
  char* data_;
  lang::Type type_;
  int64_t size_;
  const int32_t* at_; // where element 0 is, when it runs
  int64_t at_stride_;
  bool empty_ = false;
  std::vector<int64_t> extent_; // outermost first, at least one
  std::vector<int64_t> stride_;
  const char* low_ = nullptr; // the bytes it may touch
  const char* high_ = nullptr;
};

} // namespace zmlx::backend::cpu
