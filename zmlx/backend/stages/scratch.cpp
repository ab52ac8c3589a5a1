#include "zmlx/backend/stages/scratch.h"

#include <cstdlib>
#include <memory>

#include "zmlx/backend/bounds.h"

namespace zmlx::backend::stages {

std::byte* thread_scratch(size_t bytes) noexcept {
  struct Free {
    void operator()(std::byte* memory) const {
      std::free(memory);
    }
  };
  thread_local std::unique_ptr<std::byte, Free> memory;
  thread_local size_t size = 0;
  if (bytes > size) {
    size = (bytes + 4095) / 4096 * 4096;
    memory.reset(static_cast<std::byte*>(std::aligned_alloc(64, size)));
    if (!memory) {
      std::abort(); // run() cannot fail; a few pages are all that is asked
    }
  }
  use_only(memory.get(), bytes, size);
  return memory.get();
}

} // namespace zmlx::backend::stages
