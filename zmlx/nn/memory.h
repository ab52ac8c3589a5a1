#pragma once

#include <algorithm>
#include <cstddef>

#include <mlx/mlx.h>

namespace zmlx::nn {

/// The most memory that MLX's arrays took since this was made. MLX's own
/// counter says 0 until something is allocated, also where arrays are alive.
class PeakMemory {
 public:
  PeakMemory() : at_start_(mlx::core::get_active_memory()) {
    mlx::core::reset_peak_memory();
  }
  size_t bytes() const {
    return std::max(at_start_, mlx::core::get_peak_memory());
  }

 private:
  size_t at_start_;
};

} // namespace zmlx::nn
