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
/// is. The result is checked after every fold. What a fold throws is thrown on
/// with the fold's name before the message: UserError and EnvironmentError as
/// themselves, anything else as InternalError.
ZMLX_API Graph
apply_folds(const Graph& lifted, const std::vector<std::string>& names);

/// Marks a node as made by a fold, once.
ZMLX_API void mark(Node& node, const std::string& fold);

/// Where a fold might fit and does not, it says why: a note that the report
/// shows to the user, about the node that it would have changed.
ZMLX_API void leave_note(
    Graph& graph,
    const std::string& fold,
    int node,
    const std::string& reason);

/// Fuses every producer into its reader where `wanted` says so and fuse() can,
/// as far as it goes, and marks the readers with the fold's name. Leaves a note
/// where `wanted` says so and fuse() cannot.
ZMLX_API void fuse_all(
    Graph& graph,
    const std::string& fold,
    const std::function<bool(const Node& producer, const Node& consumer)>&
        wanted);

} // namespace zmlx::graph
