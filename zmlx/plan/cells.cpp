#include "zmlx/plan/cells.h"

#include <algorithm>

#include "zmlx/base/errors.h"

namespace zmlx::plan {

Cells::Cells(const std::vector<nn::StateSlot>& slots) {
  for (const auto& slot : slots) {
    if (slot.keeps == nn::Keeps::Window) {
      windows_.push_back(slot.window);
    }
  }
  std::ranges::sort(windows_);
  windows_.erase(std::ranges::unique(windows_).begin(), windows_.end());
}

int Cells::place(int window) const {
  const auto found = std::ranges::find(windows_, window);
  if (found == windows_.end()) {
    throw internal_error("no slot has a window of {} entries", window);
  }
  return FixedCount + 2 * static_cast<int>(found - windows_.begin());
}

int Cells::window_length(int window) const {
  return place(window) + 1;
}

std::vector<int32_t> Cells::values(int token, int position) const {
  std::vector<int32_t> values{
      token, position, position + 1, position % 2, (position + 1) % 2};
  for (int window : windows_) {
    values.push_back(position % window);
    values.push_back(std::min(position + 1, window));
  }
  return values;
}

} // namespace zmlx::plan
