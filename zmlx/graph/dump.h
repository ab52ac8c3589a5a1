#pragma once

#include <string>

#include "zmlx/export.h"
#include "zmlx/graph/node.h"

namespace zmlx::graph {

/// One node a line: number, label, what it reads, what it makes with its shape.
ZMLX_API std::string to_text(const Graph& graph);

/// For Graphviz: kernels as boxes by group, foreign nodes in red, weights left
/// out.
ZMLX_API std::string to_dot(const Graph& graph);

} // namespace zmlx::graph
