#pragma once

#include <span>
#include <vector>

#include "zmlx/backend/cuda/modules.h"

namespace zmlx::backend::cuda {

/// A kernel with its arguments. Copies point to their own arguments.
class Launch {
 public:
  Launch(
      std::shared_ptr<const Kernel> kernel,
      const cfamily::Bound& bound,
      Address fault);

  CUfunction function() const {
    return kernel_->function;
  }
  unsigned blocks() const {
    return blocks_;
  }
  unsigned threads() const {
    return kernel_->block;
  }
  /// As launches take them; valid while this lives and is not changed.
  std::vector<void*> pointers() const;

 private:
  std::shared_ptr<const Kernel> kernel_;
  unsigned blocks_ = 0;
  std::vector<int64_t> arguments_;
};

} // namespace zmlx::backend::cuda
