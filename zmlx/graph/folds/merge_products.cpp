// Products of one row by several weights become one kernel that loads the row
// once: q, k and v; gate and up.

#include "zmlx/graph/fold.h"
#include "zmlx/graph/fuse.h"

namespace zmlx::graph {
namespace {

/// The operand that the node's only product multiplies, or null.
const Operand* multiplied(const Node& node) {
  if (node.kind != Kind::Kernel || node.body.outputs.size() == 0) {
    return nullptr;
  }
  const Operand* x = nullptr;
  for (const auto& output : node.body.outputs) {
    if (output.value->op != lang::Op::Product ||
        output.value->args[0]->op != lang::Op::Input) {
      return nullptr;
    }
    const auto& operand = node.operands[output.value->args[0]->input];
    if (x && !(*x == operand)) {
      return nullptr;
    }
    x = &operand;
  }
  return x;
}

void run(Graph& graph) {
  for (size_t first = 0; first < graph.nodes.size(); first++) {
    if (!multiplied(graph.nodes[first])) {
      continue;
    }
    for (size_t second = first + 1; second < graph.nodes.size(); second++) {
      const auto* a = multiplied(graph.nodes[first]);
      const auto* b = multiplied(graph.nodes[second]);
      std::string why;
      if (a && b && *a == *b && merge(graph, first, second, &why)) {
        mark(graph.nodes[first], "merge_products");
      }
    }
  }
}

const AddFold kFold({
    .name = "merge_products",
    .summary = "products of one row by several weights load the row once",
    .order = 20,
    .run = run,
});

} // namespace
} // namespace zmlx::graph
