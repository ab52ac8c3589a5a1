#pragma once

#include <functional>

#include <mlx/mlx.h>

#include "tests/fuzz/chance.h"

namespace zmlx::fuzz {

namespace mx = mlx::core;

/// An array of this shape that lies somehow in memory: a view, with steps of
/// -1, 1 or 2 along its axes, gaps before and behind, axes in another order, or
/// one element for all of an axis, of what `dense` makes for a shape.
mx::array somewhere(
    Chance& chance,
    const mx::Shape& shape,
    const std::function<mx::array(const mx::Shape&)>& dense);

} // namespace zmlx::fuzz
