#pragma once

#include <cstdint>
#include <optional>

#include "zmlx/backend/cpu/access.h"
#include "zmlx/backend/cpu/fault_cell.h"

namespace zmlx::backend::stages {

/// Which of several matrices each row is multiplied with: an array of integers,
/// one per row, bound to memory and read when a launch runs.
class Experts {
 public:
  /// `view` (...) broadcasts to the rows of `space` (..., M). There are `count`
  /// matrices, in the input of number `matrices`, which faults name.
  Experts(
      const View& view,
      const lang::Shape& space,
      int matrices,
      int64_t count);

  /// The matrix of a row; nothing where the row names none, which is a fault.
  std::optional<int64_t> of(int64_t row, cpu::FaultCell& faults) const noexcept;

 private:
  cpu::Access rows_;
  int matrices_;
  int64_t count_;
};

} // namespace zmlx::backend::stages
