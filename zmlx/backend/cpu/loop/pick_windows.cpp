#include "zmlx/backend/cpu/loop/pick_windows.h"

#include <algorithm>

namespace zmlx::backend::cpu {

namespace {

constexpr int64_t kLanes = PickWindow::kLanes;

using Places = std::span<const int32_t>; // of one vector

bool inside(int32_t place, int64_t length) {
  return place >= 0 && place < length;
}

uint16_t existing(Places places, int64_t length) {
  unsigned exists = 0;
  for (size_t k = 0; k < places.size(); ++k) {
    exists |= unsigned{inside(places[k], length)} << k;
  }
  return static_cast<uint16_t>(exists);
}

// The element that lane 0 would have; nothing where places do not follow each
// other.
std::optional<int32_t> run_of(Places places, uint16_t exists) {
  std::optional<int32_t> first;
  for (size_t k = 0; k < places.size(); ++k) {
    if ((exists >> k & 1) != 0) {
      const auto start = places[k] - static_cast<int32_t>(k);
      if (first.value_or(start) != start) {
        return std::nullopt;
      }
      first = start;
    }
  }
  return first.value_or(0);
}

// The least existing place from `from` on; 0 where there is none.
int64_t least_from(int64_t from, Places places, uint16_t exists) {
  int64_t least = INT32_MAX;
  for (size_t k = 0; k < places.size(); ++k) {
    if ((exists >> k & 1) != 0 && places[k] >= from) {
      least = std::min<int64_t>(least, places[k]);
    }
  }
  return least == INT32_MAX ? 0 : least;
}

// Windows that lie in the row: from the least place on, and from the least
// that is in none.
std::optional<PickWindow>
window_of(Places places, int64_t length, uint16_t exists, bool two) {
  const int64_t last = std::max<int64_t>(length - kLanes, 0);
  const int64_t elements = std::min<int64_t>(length, kLanes);
  const int64_t first = std::min(least_from(0, places, exists), last);
  const int64_t second =
      std::min(least_from(first + kLanes, places, exists), last);
  PickWindow window{
      .first = static_cast<int32_t>(first),
      .second = static_cast<int32_t>(second),
      .exists = exists,
      .loaded = static_cast<uint16_t>((1u << elements) - 1)};
  for (size_t k = 0; k < places.size(); ++k) {
    if ((exists >> k & 1) != 0) {
      const bool in_first = places[k] < first + kLanes;
      const int64_t lane =
          in_first ? places[k] - first : places[k] - second + kLanes;
      if (lane >= (two ? 2 * kLanes : kLanes)) {
        return std::nullopt;
      }
      window.lanes[k] = static_cast<uint8_t>(lane);
    }
  }
  return window;
}

// Calls make(places of a vector, which of them exist), for a window or nothing.
template <typename Make>
std::optional<std::vector<PickWindow>>
windows_by(Places places, int64_t length, Make make) {
  std::vector<PickWindow> windows;
  for (size_t at = 0; at < places.size(); at += kLanes) {
    const auto own =
        places.subspan(at, std::min<size_t>(kLanes, places.size() - at));
    const auto window = make(own, existing(own, length));
    if (!window) {
      return std::nullopt;
    }
    windows.push_back(*window);
  }
  return windows;
}

} // namespace

std::optional<PickWindows> find_windows(Places places, int64_t length) {
  const bool everywhere = std::ranges::all_of(
      places, [length](int32_t place) { return inside(place, length); });
  auto windows = windows_by(
      places,
      length,
      [](Places own, uint16_t exists) -> std::optional<PickWindow> {
        const auto first = run_of(own, exists);
        return first
            ? std::optional(PickWindow{.first = *first, .exists = exists})
            : std::nullopt;
      });
  if (windows) {
    return PickWindows{{false, true, everywhere, false}, std::move(*windows)};
  }
  for (const bool two : {false, true}) {
    windows = windows_by(places, length, [&](Places own, uint16_t exists) {
      return window_of(own, length, exists, two);
    });
    if (windows) {
      return PickWindows{
          {two, false, everywhere, length < kLanes}, std::move(*windows)};
    }
  }
  return std::nullopt;
}

} // namespace zmlx::backend::cpu
