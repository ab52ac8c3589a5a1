#pragma once

#include <optional>
#include <vector>

#include "zmlx/graph/node.h"

namespace zmlx::graph {

/// Row-major strides of a shape.
ZMLX_API lang::Strides contiguous_strides(const lang::Shape& shape);
ZMLX_API int64_t element_count(const lang::Shape& shape);

/// The whole of a contiguous storage.
ZMLX_API View whole(const lang::Shape& shape);

/// True where the view reads all of a storage of `count` elements, in order.
ZMLX_API bool is_whole(const View& view, int64_t count);

/// True where the view shows each element of a storage of `count` elements
/// once, in any order of its axes.
ZMLX_API bool is_permuted_whole(const View& view, int64_t count);

/// The axes of a view by falling stride: the order in which they lie in memory.
/// Axes of one element come first.
ZMLX_API std::vector<int> memory_order(const View& view);

/// The same elements in the same order under another shape; nothing where
/// strides cannot say it.
ZMLX_API std::optional<View> reshape(
    const View& view,
    const lang::Shape& shape);

/// Axis i of the result is axis axes[i] of the view.
ZMLX_API View transpose(const View& view, const std::vector<int>& axes);

/// Broadcast to `shape`, which MLX's rules allow.
ZMLX_API View broadcast_to(const View& view, const lang::Shape& shape);

/// start:stop:step of each axis; steps may be negative.
ZMLX_API View slice(
    const View& view,
    const lang::Shape& start,
    const lang::Shape& step,
    const lang::Shape& shape);

} // namespace zmlx::graph
