#pragma once

#include <memory>
#include <vector>

#include "zmlx/backend/cfamily/kernel.h"
#include "zmlx/backend/cuda/driver.h"
#include "zmlx/backend/cuda/schedule.h"

namespace zmlx::backend::cuda {

/// A kernel that the device can run. Never unloaded.
struct Kernel {
  CUfunction function = nullptr;
  std::vector<cfamily::Parameter> parameters;
  int64_t work_of_block = 1;
  unsigned block = 1;
};

/// The device that MLX runs on; EnvironmentError where it is below sm_80.
const Device& device();

/// Compiles the text, or finds what was made of the same text before. Safe from
/// any thread.
std::shared_ptr<const Kernel> load_kernel(
    const cfamily::KernelText& text,
    unsigned block);

} // namespace zmlx::backend::cuda
