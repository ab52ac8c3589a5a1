#pragma once

#include <atomic>
#include <optional>

#include "zmlx/backend/cpu/launch.h"

namespace zmlx::backend::cpu {

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
