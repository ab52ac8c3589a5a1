#pragma once

#include <cstddef>
#include <optional>

#include "zmlx/export.h"

namespace zmlx {

/// Memory as the system counts it: the resident pages of this process, whoever
/// allocated them (ZMLX, MLX, libraries) and whether they are its own or those
/// of files that are mapped.

/// The most bytes that this process held since it began, or since the last
/// PeakMemory was made. Nothing where the system does not say.
ZMLX_API std::optional<size_t> peak_memory();

/// The most bytes that this process holds while an object of this class lives.
/// Making one resets the process's peak (VmHWM), so only one is meant to live
/// at a time.
class ZMLX_API PeakMemory {
 public:
  PeakMemory();
  /// Nothing where the system does not let a process reset its peak.
  std::optional<size_t> bytes() const;

 private:
  bool is_reset_;
};

/// Gives the pages that malloc keeps for later use back to the system, so that
/// what was freed does not count for what runs next.
ZMLX_API void release_freed_memory();

} // namespace zmlx
