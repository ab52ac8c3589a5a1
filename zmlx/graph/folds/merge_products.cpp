// Products of one row by several weights become one kernel that loads the row
// once: q, k and v; gate and up.

#include "zmlx/graph/fold.h"
#include "zmlx/graph/fuse.h"

namespace zmlx::graph {
namespace {

constexpr const char* kName = "merge_products";

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
  const auto count = static_cast<int>(graph.nodes.size());
  for (int first = 0; first < count; first++) {
    if (!multiplied(graph.nodes[first])) {
      continue;
    }
    for (int second = first + 1; second < count; second++) {
      const auto* a = multiplied(graph.nodes[first]);
      const auto* b = multiplied(graph.nodes[second]);
      if (!a || !b || !(*a == *b)) {
        continue;
      }
      std::string why;
      if (merge(graph, first, second, &why)) {
        mark(graph.nodes[first], kName);
      } else {
        leave_note(graph, kName, second, why);
      }
    }
  }
}

const AddFold kFold({
    .name = kName,
    .summary = "products of one row by several weights load the row once",
    .order = 20,
    .run = run,
});

} // namespace
} // namespace zmlx::graph
