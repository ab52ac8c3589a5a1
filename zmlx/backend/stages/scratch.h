#pragma once

#include <cstddef>

namespace zmlx::backend::stages {

/// At least `bytes` of 64-byte aligned memory of the calling thread, kept until
/// it ends and shared by all stages: contents last until the next call. Grows
/// when more is asked for than ever before in this thread.
std::byte* thread_scratch(size_t bytes) noexcept;

} // namespace zmlx::backend::stages
