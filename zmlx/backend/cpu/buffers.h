#pragma once

#include <cstddef>

#include "zmlx/export.h"

namespace zmlx::backend::cpu {

/// Memory for outputs: 64-byte aligned, and kept when freed, because fresh
/// pages cost more than most kernels (30 ms for 64 MB against 5).
///
/// The 8 bytes before the memory hold its size in bytes, as MLX's buffers have
/// it, so that p is what the MLX buffer `Buffer(p - 8)` holds. Memory is given
/// back with release() alone, from any thread. Contents are undefined.

/// At least `bytes` (0 is allowed). EnvironmentError where there is no memory.
ZMLX_API void* allocate(size_t bytes);
/// Null is allowed.
ZMLX_API void release(void* memory) noexcept;

/// Bytes kept for later calls: at most 1 GiB and at most a quarter of the
/// machine's memory.
ZMLX_API size_t kept_bytes();
/// Gives all kept memory back to the system.
ZMLX_API void drop_kept() noexcept;

} // namespace zmlx::backend::cpu
