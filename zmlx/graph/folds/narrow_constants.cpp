// Scales and biases of quantised weights that were widened to float32 once, for
// the sake of float32 activations, are read as float16 where that holds every
// one of their values: a sixth fewer bytes a token at groups of 32.

#include "zmlx/graph/fold.h"
#include "zmlx/graph/view.h"

namespace zmlx::graph {
namespace {

constexpr const char* kName = "narrow_constants";

bool is_exact(const mx::array& wide, const mx::array& narrow) {
  return mx::array_equal(mx::astype(narrow, mx::float32), wide).item<bool>();
}

/// Scales and biases of the node's weights, as operand numbers.
std::vector<int> parts_of_weights(const Node& node) {
  std::vector<int> parts;
  std::vector<lang::Expr> roots;
  for (const auto& output : node.body.outputs) {
    roots.push_back(output.value);
  }
  lang::for_each_node(roots, [&](const lang::Node& n) {
    if (n.op == lang::Op::Product &&
        n.weight.format == lang::WeightFormat::Affine) {
      parts.push_back(n.weight.scales);
      parts.push_back(n.weight.biases);
    }
  });
  return parts;
}

bool narrow(Graph& graph, int constant) {
  auto& node = graph.nodes[constant];
  auto& result = node.results[0];
  if (node.kind != Kind::Constant || result.type != lang::Type::F32 ||
      !node.array->flags().row_contiguous) {
    return false;
  }
  auto half = mx::astype(*node.array, mx::float16);
  if (!is_exact(*node.array, half)) {
    return false;
  }
  half.eval();
  node.array = half;
  result.type = lang::Type::F16;
  return true;
}

void run(Graph& graph) {
  auto all_readers = readers(graph);
  for (size_t n = 0; n < graph.nodes.size(); n++) {
    if (graph.nodes[n].kind != Kind::Kernel) {
      continue;
    }
    for (int part : parts_of_weights(graph.nodes[n])) {
      int constant = graph.nodes[n].operands[part].value.node;
      bool only_kernels = true;
      for (const auto& reader : all_readers[constant]) {
        only_kernels = only_kernels && reader.node >= 0 &&
            graph.nodes[reader.node].kind == Kind::Kernel;
      }
      if (only_kernels && narrow(graph, constant)) {
        // What the readers store must not follow the type of what they read.
        for (const auto& reader : all_readers[constant]) {
          auto& node = graph.nodes[reader.node];
          for (size_t o = 0; o < node.results.size(); o++) {
            node.body.outputs[o].fixed = node.results[o].type;
            node.body.outputs[o].like = -1;
          }
          mark(node, kName);
        }
      }
    }
  }
}

const AddFold kFold({
    .name = kName,
    .summary = "float32 scales that float16 holds exactly are read as float16",
    .order = 60,
    .run = run,
});

} // namespace
} // namespace zmlx::graph
