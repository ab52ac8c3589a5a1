#pragma once

#include <cstddef>
#include <cstdint>

namespace zmlx::measure {

/// Counts of floats that the loops take are multiples of this, and pointers
/// are aligned to its bytes.
inline constexpr std::size_t bandwidth_block = 1024;

/// Read `count` floats; the result depends on every one. Forward, with
/// prefetches ahead of what the hardware asks for, or four places at a time:
/// which is faster depends on the machine.
std::uint32_t read_forward(const float* data, std::size_t count);
std::uint32_t read_four(const float* data, std::size_t count);

/// a[i] = b[i] + 3 * c[i], with stores that bypass the caches; visible to
/// other threads when it returns.
void triad(float* a, const float* b, const float* c, std::size_t count);

} // namespace zmlx::measure
