#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "zmlx/export.h"
#include "zmlx/graph/node.h"

namespace zmlx::graph {

/// A rewrite of a graph that keeps its meaning and saves launches or bytes. One
/// file in graph/folds/ each, which registers it from a static object.
struct Fold {
  std::string name;
  std::string summary;
  int order; // folds run in this order; each may rely on those before it
  std::function<void(Graph&)> run;
};

ZMLX_API const std::vector<Fold>& all_folds(); // by order

struct AddFold {
  explicit AddFold(Fold fold);
};

/// The graph after the named folds, in their order; the given graph stays as it
/// is. The result is checked after every fold.
ZMLX_API Graph
apply_folds(const Graph& lifted, const std::vector<std::string>& names);

/// Marks a node as made by a fold, once.
ZMLX_API void mark(Node& node, const std::string& fold);

/// Fuses every producer into its reader where `wanted` says so and fuse() can,
/// as far as it goes, and marks the readers with the fold's name.
ZMLX_API void fuse_all(
    Graph& graph,
    const std::string& fold,
    const std::function<bool(const Node& producer, const Node& consumer)>&
        wanted);

} // namespace zmlx::graph
