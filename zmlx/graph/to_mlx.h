#pragma once

#include <vector>

#include "zmlx/export.h"
#include "zmlx/graph/node.h"

namespace zmlx::graph {

/// The graph as MLX arrays over the given inputs, one per placeholder in the
/// order of the nodes: foreign nodes keep their own primitive, kernels are
/// nodes of ours. Works under eval, grad and compile on any device; a value
/// with a target is a new array (slice_update). Returns the outputs in their
/// order.
ZMLX_API std::vector<mx::array> to_mlx(
    const Graph& graph,
    const std::vector<mx::array>& inputs);

} // namespace zmlx::graph
