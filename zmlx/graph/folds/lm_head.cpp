// The likeliest token and its logit are looked for by whichever thread is done
// last with the logits, while they are still in its caches: a launch fewer, and
// no copy of the logits for who only wants the token.

#include "zmlx/graph/fold.h"
#include "zmlx/graph/fuse.h"
#include "zmlx/graph/view.h"

namespace zmlx::graph {
namespace {

constexpr const char* kName = "lm_head";

/// The largest of what the node reads, or its place.
bool is_maximum(const Node& node) {
  if (node.kind != Kind::Kernel || node.body.outputs.size() != 1 ||
      node.operands.size() != 1) {
    return false;
  }
  const auto& value = *node.body.outputs[0].value;
  return (value.op == lang::Op::ArgMax || value.op == lang::Op::MaxOf) &&
      value.args[0]->op == lang::Op::Input;
}

void run(Graph& graph) {
  const auto count = static_cast<int>(graph.nodes.size());
  for (int n = 0; n < count; n++) {
    auto& node = graph.nodes[n];
    if (!is_maximum(node)) {
      continue;
    }
    const int producer = node.operands[0].value.node;
    auto& head = graph.nodes[producer];
    if (head.kind != Kind::Kernel || form_of(head.body) != Form::Product) {
      leave_note(graph, kName, n, "what it reads is not made by a product");
    } else if (head.group >= 0) {
      leave_note(
          graph, kName, n, "the product that it reads shares its launch");
    } else {
      node.tail_of = producer;
      mark(node, kName);
      mark(head, kName);
    }
  }
}

const AddFold kFold({
    .name = kName,
    .summary = "the likeliest token is found in the launch that makes the "
               "logits",
    .order = 70,
    .run = run,
});

} // namespace
} // namespace zmlx::graph
