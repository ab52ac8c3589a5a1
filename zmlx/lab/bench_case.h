#pragma once

#include <cstdint>

#include "zmlx/export.h"
#include "zmlx/lang/kernel.h"

namespace zmlx::lab {

/// The case that a kernel is timed on, of about `elements` elements in inputs
/// and outputs together: the one that the kernel marks (Case::bench), else the
/// largest that it lists, with rows of 4096 where only inputs that broadcast
/// meet. Its leading axis is made longer, of all inputs that share it; a case
/// in which that does not fit, or that is large enough, stays as it is.
/// UserError for a kernel that lists no case.
ZMLX_API lang::Case bench_case(const lang::Kernel& kernel, int64_t elements);

} // namespace zmlx::lab
