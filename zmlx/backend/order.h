#pragma once

#include <vector>

#include "zmlx/backend/backend.h"

namespace zmlx::backend {

/// What any way of running a program may promise: weights are read early, keys
/// and values early but for the last row, the rest in order.
ZMLX_API Effects effects_of(const lang::Program& program);

/// The bytes from the first to behind the last that a view may touch, wherever
/// `at` places it. Empty (begin == end) for a view without elements.
struct Extent {
  Address begin, end;
  bool overlaps(const Extent& other) const {
    return begin < other.end && other.begin < end;
  }
};
ZMLX_API Extent extent_of(const View& view);

/// What an item of a sequence waits for, as numbers of earlier items.
struct Waits {
  /// Before it begins: items that write what it reads or writes, or read what
  /// it writes.
  std::vector<int> items;
  /// By input, before it is read early: the last item that writes there, -1
  /// where none does; -2 where the input is not read early.
  std::vector<int> early;
};

/// Of each item, in order. Waits::items has all of them, not only the last.
ZMLX_API std::vector<Waits> waits_of(const std::vector<SequenceItem>& items);

} // namespace zmlx::backend
