#include "zmlx/backend/cuda/launch.h"

#include <limits>

#include "zmlx/base/errors.h"

namespace zmlx::backend::cuda {

Launch::Launch(
    std::shared_ptr<const Kernel> kernel,
    const cfamily::Bound& bound,
    Address fault)
    : kernel_(std::move(kernel)) {
  const int64_t work = bound.work();
  const int64_t blocks =
      (work + kernel_->work_of_block - 1) / kernel_->work_of_block;
  if (blocks > std::numeric_limits<int32_t>::max()) {
    throw environment_error(
        "CUDA: {} blocks are too many for a launch", blocks);
  }
  blocks_ = static_cast<unsigned>(blocks);
  for (const auto& parameter : kernel_->parameters) {
    arguments_.push_back(cfamily::argument(parameter, bound, fault));
  }
}

std::vector<void*> Launch::pointers() const {
  std::vector<void*> pointers;
  for (const int64_t& argument : arguments_) {
    // The lower half comes first: a kernel that counts in 32 bits reads it.
    pointers.push_back(const_cast<int64_t*>(&argument));
  }
  return pointers;
}

} // namespace zmlx::backend::cuda
