#pragma once

#include <mlx/mlx.h>

#include "zmlx/lang/expr.h"

namespace zmlx::op {

namespace mx = mlx::core;

/// exp, sin, cos or erf of a float64 array on the CPU to the accuracy of the C
/// library, also under vjp. MLX's own compute these in float32 whatever the
/// type says.
mx::array exact(lang::Op op, const mx::array& x, mx::Stream stream);

} // namespace zmlx::op
