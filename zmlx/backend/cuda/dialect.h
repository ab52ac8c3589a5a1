#pragma once

#include "zmlx/backend/cfamily/dialect.h"

namespace zmlx::backend::cuda {

/// CUDA C++ as NVRTC takes it, without headers.
const cfamily::Dialect& dialect();

} // namespace zmlx::backend::cuda
