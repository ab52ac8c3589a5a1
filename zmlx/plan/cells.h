#pragma once

#include <cstdint>
#include <vector>

#include "zmlx/export.h"
#include "zmlx/nn/state_slot.h"

namespace zmlx::plan {

/// The int32 numbers that a step is given beside the arrays of its state. They
/// lie next to each other in the peer's memory; kernels read them when they
/// run, so that one sequence serves all positions.
class ZMLX_API Cells {
 public:
  /// The cells that every step has, by number.
  enum Fixed : int {
    Token,
    Position, // tokens seen before this step
    Length, // Position + 1
    Latest, // which of the two entries of a Keeps::Latest slot is read
    Next, // and which is written
    FixedCount
  };

  /// Two more for each window among the slots.
  explicit Cells(const std::vector<nn::StateSlot>& slots);

  int count() const {
    return FixedCount + 2 * static_cast<int>(windows_.size());
  }
  /// Where a window's next entry is written: Position % window.
  int place(int window) const;
  /// How many entries a window has once that is written.
  int window_length(int window) const;

  /// All cells for a step on `token` at `position`.
  std::vector<int32_t> values(int token, int position) const;

 private:
  std::vector<int> windows_; // ascending, distinct
};

} // namespace zmlx::plan
