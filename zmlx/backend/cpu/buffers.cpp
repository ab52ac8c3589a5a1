#include "zmlx/backend/cpu/buffers.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "zmlx/backend/bounds.h"
#include "zmlx/base/errors.h"

namespace zmlx::backend::cpu {
namespace {

constexpr size_t kLine = 64;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr int kClasses = 4 * 64;

struct SizeClass {
  int number;
  size_t bytes;
};

// Four classes an octave: at most a fifth of a block is unused.
SizeClass size_class(size_t bytes) {
  bytes = std::max(bytes, kLine);
  const int octave = std::bit_width(bytes - 1) - 1; // 2^octave < bytes
  const size_t step = std::max(size_t{1} << octave >> 2, size_t{1});
  const size_t steps = (bytes + step - 1) / step; // 5 .. 8
  return {octave * 4 + static_cast<int>(steps) - 5, steps * step};
}

size_t cap() {
  static const size_t bytes = std::min<size_t>(
      size_t{1} << 30,
      size_t(sysconf(_SC_PHYS_PAGES)) * size_t(sysconf(_SC_PAGE_SIZE)) / 4);
  return bytes;
}

size_t& size_before(void* memory) {
  return static_cast<size_t*>(memory)[-1];
}

void free_block(void* memory) noexcept {
  std::free(static_cast<char*>(memory) - kLine);
}

void* new_block(size_t bytes) noexcept {
  const bool huge = bytes >= 2 * kHugePage;
  const size_t alignment = huge ? kHugePage : kLine;
  const size_t whole = (bytes + kLine + alignment - 1) / alignment * alignment;
  void* block = std::aligned_alloc(alignment, whole);
  if (!block) {
    return nullptr;
  }
  if (huge) {
    // Advice only: without it the pages are small ones.
    madvise(block, whole, MADV_HUGEPAGE);
  }
  void* memory = static_cast<char*>(block) + kLine;
  size_before(memory) = bytes;
  return memory;
}

class Keeper {
 public:
  void* take(SizeClass wanted) {
    std::lock_guard lock(mutex_);
    auto& blocks = kept_[wanted.number];
    if (blocks.empty()) {
      return nullptr;
    }
    void* memory = blocks.back();
    blocks.pop_back();
    bytes_ -= wanted.bytes;
    return memory;
  }

  bool keep(void* memory) noexcept {
    const SizeClass its = size_class(size_before(memory));
    std::lock_guard lock(mutex_);
    if (its.bytes > cap() - bytes_) {
      return false;
    }
    try {
      kept_[its.number].push_back(memory);
    } catch (const std::bad_alloc&) {
      return false;
    }
    bytes_ += its.bytes;
    use_only(memory, 0, its.bytes);
    return true;
  }

  void drop() noexcept {
    std::lock_guard lock(mutex_);
    for (auto& blocks : kept_) {
      std::for_each(blocks.begin(), blocks.end(), free_block);
      blocks.clear();
    }
    bytes_ = 0;
  }

  size_t bytes() {
    std::lock_guard lock(mutex_);
    return bytes_;
  }

 private:
  std::mutex mutex_;
  std::vector<void*> kept_[kClasses];
  size_t bytes_ = 0;
};

// Never destroyed: arrays may be freed after static destructors have run.
Keeper& keeper() {
  static Keeper* keeper = new Keeper;
  return *keeper;
}

} // namespace

void* allocate(size_t bytes) {
  if (bytes > SIZE_MAX / 4) {
    throw environment_error("allocate: cannot have {} bytes", bytes);
  }
  const SizeClass wanted = size_class(bytes);
  if (void* memory = keeper().take(wanted)) {
    use_only(memory, bytes, wanted.bytes);
    return memory;
  }
  void* memory = new_block(wanted.bytes);
  if (!memory) {
    keeper().drop();
    memory = new_block(wanted.bytes);
  }
  if (!memory) {
    throw environment_error("allocate: no memory for {} bytes", bytes);
  }
  use_only(memory, bytes, wanted.bytes);
  return memory;
}

void release(void* memory) noexcept {
  if (memory && !keeper().keep(memory)) {
    free_block(memory);
  }
}

size_t kept_bytes() {
  return keeper().bytes();
}

void drop_kept() noexcept {
  keeper().drop();
}

} // namespace zmlx::backend::cpu
