#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include "zmlx/base/fields.h"

namespace zmlx::backend::cpu {

/// Where the 16 places of a vector pick their elements from a row: 16 elements
/// that follow each other, or twice as many in two such windows.
struct alignas(32) PickWindow {
  static constexpr int kLanes = 16;
  uint8_t lanes[kLanes]; // which element each place picks; 16: second + 0
  int32_t first; // number of the window's first element
  int32_t second; // of the second window
  uint16_t exists; // bit k: the element of lane k does; others pick 0
  uint16_t loaded; // bit k: the row has element first + k
};
static_assert(sizeof(PickWindow) == 2 * PickWindow::kLanes);

/// What is common to the windows of a row.
struct PickShape {
  bool two = false; // windows for each vector
  bool in_order = false; // lane k picks element k; else windows are in the row
  bool everywhere = false; // all elements exist
  bool narrow = false; // the row is shorter than a window

  bool operator==(const PickShape&) const = default;

  auto fields() const {
    return std::tie(two, in_order, everywhere, narrow);
  }
};
static_assert(lists_all_members<PickShape>);

struct PickWindows {
  PickShape shape;
  std::vector<PickWindow> windows; // one for each 16 places, the last of fewer
};

/// The windows of places that pick from a row of `length` elements; nothing
/// where some 16 of them do not lie in two windows.
std::optional<PickWindows> find_windows(
    std::span<const int32_t> places,
    int64_t length);

} // namespace zmlx::backend::cpu
