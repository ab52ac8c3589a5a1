#pragma once

#include <atomic>
#include <optional>
#include <vector>

#include "zmlx/backend/cpu/launch.h"

namespace zmlx::backend::cpu {

/// For each register, whether its value depends on an input.
std::vector<bool> given_by_input(const lang::Code& code);

/// Whether a place, a row or a matrix that the program reads or adds to depends
/// on an input, so that it may lie outside its array.
bool can_fault(const lang::Program& program);

/// The first fault of a launch; any thread may record one.
class FaultCell {
 public:
  void record(const Fault& fault) noexcept {
    int empty = 0;
    if (state_.compare_exchange_strong(empty, 1, std::memory_order_relaxed)) {
      fault_ = fault;
      state_.store(2, std::memory_order_release);
    }
  }
  std::optional<Fault> get() const {
    return state_.load(std::memory_order_acquire) == 2 ? std::optional(fault_)
                                                       : std::nullopt;
  }

 private:
  std::atomic<int> state_ = 0; // 1: being written, 2: there
  Fault fault_;
};

} // namespace zmlx::backend::cpu
