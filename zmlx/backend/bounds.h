#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace zmlx::backend {

/// Tells AddressSanitizer that of `size` bytes of memory, which stay allocated,
/// the first `bytes` may be touched and the others not. The memory is 8-byte
/// aligned, and may be freed as it is. Without AddressSanitizer nothing is
/// done.
inline void use_only(
    [[maybe_unused]] void* memory,
    [[maybe_unused]] size_t bytes,
    [[maybe_unused]] size_t size) noexcept {
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(memory, size);
  __asan_unpoison_memory_region(memory, bytes);
#endif
}

} // namespace zmlx::backend
