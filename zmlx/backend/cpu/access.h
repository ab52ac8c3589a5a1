#pragma once

#include <algorithm>
#include <cstdint>

#include "zmlx/backend/cpu/launch.h"
#include "zmlx/backend/merged_axes.h"
#include "zmlx/backend/order.h"

namespace zmlx::backend::cpu {

/// The memory of a view, walked along a space of places.
class Access : public MergedAxes {
 public:
  /// InternalError where the view does not broadcast to the space, or its
  /// memory is null though it has elements. `who` names it.
  Access(const View& view, const lang::Shape& space, const char* who);

  lang::Type type() const {
    return type_;
  }
  int64_t size() const { // bytes of an element
    return size_;
  }

  char* at(int64_t place) const {
    // A number outside, which only its maker can tell, must not lead outside.
    const int64_t first =
        at_ ? std::clamp<int64_t>(*at_, 0, last_) * at_stride_ : 0;
    return data_ + (first + offset(place)) * size_;
  }

  /// Calls visit(memory, n) for the runs, each of stride(), of n places.
  template <typename Visit>
  void for_runs(int64_t place, int64_t n, Visit visit) const {
    MergedAxes::for_runs(place, n, [&](int64_t first, int64_t count) {
      visit(at(first), count);
    });
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
        same_as(other);
  }
  /// Whether both may touch a byte in common.
  bool overlaps(const Access& other) const {
    return extent_.overlaps(other.extent_);
  }
  /// It may touch what the other may touch.
  void reach(const Access& other) {
    extent_.begin = std::min(extent_.begin, other.extent_.begin);
    extent_.end = std::max(extent_.end, other.extent_.end);
  }

 private:
  char* data_;
  lang::Type type_;
  int64_t size_;
  const int32_t* at_; // where element 0 is, when it runs
  int64_t at_stride_;
  int64_t last_; // of the places that *at_ may name
  Extent extent_; // what it may touch
};

/// The view of an array of this shape whose elements are adjacent.
View adjacent_view(Address data, lang::Type type, const lang::Shape& shape);

} // namespace zmlx::backend::cpu
