#pragma once

#include <span>

#include "zmlx/backend/cfamily/dialect.h"

namespace zmlx::backend::cuda {

/// What emitted text may call (cfamily::Dialect::functions), in an order in
/// which it may be declared.
std::span<const cfamily::Function> functions();

} // namespace zmlx::backend::cuda
