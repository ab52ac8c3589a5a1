#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "zmlx/backend/backend.h"

/// Memory of the device that is ours: MLX's own allocator of it is not
/// exported, and what is exported gives memory that moves between host and
/// device.
namespace zmlx::backend::cuda {

/// Aligned to 256 bytes, not zeroed. EnvironmentError where there is not as
/// much. What is released is kept for the next one of its size.
Address allocate(size_t bytes);
/// When nothing that was given to the device uses it any more.
void release(Address memory, size_t bytes) noexcept;

/// Memory that is released together.
class Blocks {
 public:
  Blocks() = default;
  ~Blocks();
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;

  Address add(size_t bytes);
  bool empty() const {
    return blocks_.empty();
  }

 private:
  std::vector<std::pair<Address, size_t>> blocks_;
};

/// An output of MLX with memory of ours.
void allocate_output(mx::array& out);

/// Where the elements of an evaluated array are, for the device.
Address address_of(const mx::array& a);

} // namespace zmlx::backend::cuda
