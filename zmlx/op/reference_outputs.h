#pragma once

#include <mlx/mlx.h>

/// How a value over its space becomes an output, as MLX operations. The shape
/// of a value broadcasts to `space`, whose last axis is the row.
namespace zmlx::op {

namespace mx = mlx::core;

/// One element per place, or one per row of the space.
mx::array placed(
    const mx::array& value,
    const mx::Shape& space,
    const mx::Shape& shape,
    bool one_per_row,
    mx::Stream stream);

/// The sum over the axes along which `meeting` broadcasts to the space, in
/// `shape`; `one_per_row`: of one value per row.
mx::array summed_like(
    const mx::array& value,
    const mx::Shape& space,
    const mx::Shape& meeting,
    const mx::Shape& shape,
    bool one_per_row,
    mx::Stream stream);

/// An array of `shape` to whose rows (leading axes counted as one) the values
/// are added where `row` says; rows outside get lost.
mx::array summed_rows(
    const mx::array& value,
    const mx::array& row,
    const mx::Shape& space,
    const mx::Shape& shape,
    mx::Stream stream);

} // namespace zmlx::op
