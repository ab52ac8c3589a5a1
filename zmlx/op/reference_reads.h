#pragma once

#include <mlx/mlx.h>

/// What is read at places that a value names, as MLX operations. `space` is
/// the shape of all places, its last axis the row.
namespace zmlx::op {

namespace mx = mlx::core;

/// Row `row` of a table (rows..., D), 0 outside: row (..., 1) broadcasts to the
/// rows of the space.
mx::array taken(
    const mx::array& table,
    const mx::array& row,
    const mx::Shape& space,
    mx::Stream stream);

/// The element of each row of `in` that `at` names: in (..., W), at (..., D),
/// broadcast over the leading axes. Places outside the row give 0.
mx::array picked(const mx::array& in, const mx::array& at, mx::Stream stream);

/// row (..., 1), which broadcasts to the rows of the space, as one number for
/// each of these rows: (rows of the space).
mx::array
row_numbers(const mx::array& row, const mx::Shape& space, mx::Stream stream);

/// Whether these numbers are places of an axis of this length.
mx::array is_inside(const mx::array& at, int length, mx::Stream stream);

} // namespace zmlx::op
