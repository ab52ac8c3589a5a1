#pragma once

#include <vector>

#include <mlx/mlx.h>

#include "zmlx/export.h"

/// What kernels' counterparts in MLX's own operations are made of (op::Op's
/// `mlx`). They are written as someone would who knows MLX: in the type of
/// their inputs, with mx::fast where that has the function.
namespace zmlx::kernels::in_mlx {

namespace mx = mlx::core;

using Arrays = std::vector<mx::array>;

/// A run-time number as one of the host, for functions that take those.
ZMLX_API float number(const mx::array& scalar);
/// A number in the type of x, so that the result keeps it.
ZMLX_API mx::array like(const mx::array& x, double value);
/// An operand in the type of x.
ZMLX_API mx::array to_type_of(const mx::array& x, const mx::array& operand);

ZMLX_API mx::array silu(const mx::array& x);
ZMLX_API mx::array gelu(const mx::array& x);
ZMLX_API mx::array gelu_tanh(const mx::array& x);
ZMLX_API mx::array softplus(const mx::array& x);
/// The first and the second half of the last axis.
ZMLX_API Arrays halves(const mx::array& x);
/// With MLX's own random bits: the share that is kept is ours, which elements
/// are kept is not.
ZMLX_API mx::array
dropout(const mx::array& x, const mx::array& p, const mx::array& seed);

} // namespace zmlx::kernels::in_mlx
