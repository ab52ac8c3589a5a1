#pragma once

#include <mlx/mlx.h>

#include "zmlx/lang/expr.h"

/// What knows more of a row, or of the other rows, than one place, as MLX
/// operations. `space` is the shape of all places, its last axis the row.
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

/// Row `row` of a table (rows..., D), 0 outside: row (..., 1) broadcasts to the
/// rows of the space.
mx::array taken(
    const mx::array& table,
    const mx::array& row,
    const mx::Shape& space,
    mx::Stream stream);

/// x, in the space, summed over the axes along which `shape` broadcasts to it.
mx::array
summed_to(const mx::array& x, const mx::Shape& shape, mx::Stream stream);

/// An array of `shape` to whose rows (leading axes counted as one) the values,
/// broadcast to the space, are added where `row` says; rows outside get lost.
mx::array summed_rows(
    const mx::array& values,
    const mx::array& row,
    const mx::Shape& space,
    const mx::Shape& shape,
    mx::Stream stream);

} // namespace zmlx::op
