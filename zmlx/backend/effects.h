#pragma once

#include "zmlx/backend/backend.h"

namespace zmlx::backend {

/// What any way of running a program may promise: weights are read early, keys
/// and values early but for the last row, the rest in order.
ZMLX_API Effects effects_of(const lang::Program& program);

} // namespace zmlx::backend
