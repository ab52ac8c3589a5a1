#pragma once

#include <mlx/mlx.h>

#include "zmlx/lang/expr.h"

/// What knows more of a row than one place, as MLX operations. `space` is the
/// shape of all places, its last axis the row.
namespace zmlx::op {

namespace mx = mlx::core;

/// lang::random(): (), uint64, gives uint32 in the space.
mx::array
random_bits(const mx::array& seed, const mx::Shape& space, mx::Stream stream);

mx::array
running_sum(const mx::array& x, lang::ScanOrder order, mx::Stream stream);

/// Places of the k largest of each row, (..., k) uint32: descending, NaN first,
/// the lowest first among equals.
mx::array top_places(const mx::array& x, int k, mx::Stream stream);

/// A reduction, (..., 1); ArgMax and ArgMin give uint32. A row of nothing
/// gives the neutral element.
mx::array reduced(lang::Op op, const mx::array& x, mx::Stream stream);

} // namespace zmlx::op
