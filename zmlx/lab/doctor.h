#pragma once

#include <string>
#include <vector>

#include "zmlx/export.h"
#include "zmlx/measure/device.h"

namespace zmlx::lab {

/// One thing that was looked at.
struct Finding {
  enum class Level { good, note, bad } level = Level::good;
  std::string item; // "MLX", "cache folder"
  std::string value;
  std::string advice; // what to do, where something is missing
};

struct DoctorResult {
  measure::DeviceFacts device;
  int threads = 0; // of our pool
  std::string simd; // the instruction set that kernels use
  double read_bytes_s = 0;
  double read_spread = 0; // quartile distance over the median
  double triad_bytes_s = 0;
  double triad_spread = 0;
  std::vector<Finding> findings;

  bool healthy() const; // nothing is bad
};

/// Looks at the device, the libraries and the caches, and measures the memory
/// with the threads that kernels use: a second or two.
ZMLX_API DoctorResult doctor();

} // namespace zmlx::lab
