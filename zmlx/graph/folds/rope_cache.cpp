// Rotated keys are written where the cache keeps them instead of being copied
// there, and with them, in one launch, go the values and the rotated queries:
// everything small that stands between the q, k, v product and attention.

#include "zmlx/graph/fold.h"
#include "zmlx/graph/fuse.h"

namespace zmlx::graph {
namespace {

constexpr const char* kName = "rope_cache";

bool writes_cache(const Node& node) {
  return node.kind == Kind::Kernel && !node.results.empty() &&
      node.results[0].target.has_value();
}

/// The one kernel that makes all that the node reads, beside what is given; -1
/// where there are none or several.
int source_of(const Graph& graph, const Node& node) {
  int source = -1;
  for (const auto& operand : node.operands) {
    if (graph.nodes[operand.value.node].kind != Kind::Kernel) {
      continue;
    }
    if (source >= 0 && source != operand.value.node) {
      return -1;
    }
    source = operand.value.node;
  }
  return source;
}

bool is_small(const Node& node) {
  return node.kind == Kind::Kernel && form_of(node.body) <= Form::Row;
}

void run(Graph& graph) {
  fuse_all(graph, kName, [](const Node& producer, const Node& consumer) {
    return writes_cache(consumer) && is_small(producer);
  });
  for (size_t n = 0; n < graph.nodes.size(); n++) {
    if (!writes_cache(graph.nodes[n])) {
      continue;
    }
    int source = source_of(graph, graph.nodes[n]);
    for (size_t other = 0; source >= 0 && other < graph.nodes.size(); other++) {
      auto& node = graph.nodes[other];
      if (is_small(node) && source_of(graph, node) == source) {
        node.group = source;
        mark(node, kName);
      }
    }
  }
}

const AddFold kFold({
    .name = kName,
    .summary = "rotated keys and values go straight into the caches, in one "
               "launch with the queries",
    .order = 50,
    .run = run,
});

} // namespace
} // namespace zmlx::graph
