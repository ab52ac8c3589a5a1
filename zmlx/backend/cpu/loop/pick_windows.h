#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace zmlx::backend::cpu {

/// Where the 16 places of a vector pick their elements from a row: 16 elements
/// that follow each other, or 32.
struct alignas(32) PickWindow {
  static constexpr int kLanes = 16;
  uint8_t lanes[kLanes]; // which element of the window each place picks
  int32_t first; // number of the window's first element
  uint32_t exists; // bit k: the element of lane k does; others pick 0
};
static_assert(sizeof(PickWindow) == 2 * PickWindow::kLanes);

/// What is common to the windows of a row.
struct PickShape {
  bool wide = false; // of 32 elements
  bool in_order = false; // lane k picks element k; else windows are in the row
  bool everywhere = false; // all elements exist

  bool operator==(const PickShape&) const = default;
};

struct PickWindows {
  PickShape shape;
  std::vector<PickWindow> windows; // one for each 16 places, the last of fewer
};

/// The windows of places that pick from a row of `length` elements; nothing
/// where some 16 of them lie too far apart, or the row is shorter than a
/// window.
std::optional<PickWindows> find_windows(
    std::span<const int32_t> places,
    int64_t length);

} // namespace zmlx::backend::cpu
