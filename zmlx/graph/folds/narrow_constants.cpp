// Weights, scales and biases that were widened to float32 once, for the sake of
// float32 activations, are read as float16 or bfloat16 where that holds every
// one of their values: half the bytes of a dense product, a sixth of a 4-bit
// one in groups of 32.

#include "zmlx/graph/fold.h"
#include "zmlx/graph/view.h"

namespace zmlx::graph {
namespace {

constexpr const char* kName = "narrow_constants";

bool is_exact(const mx::array& wide, const mx::array& narrow) {
  return mx::array_equal(mx::astype(narrow, mx::float32), wide).item<bool>();
}

/// The floating arrays of the node's weights, as operand numbers.
std::vector<int> parts_of_weights(const Node& node) {
  std::vector<int> parts;
  std::vector<lang::Expr> roots;
  for (const auto& output : node.body.outputs) {
    roots.push_back(output.value);
  }
  lang::for_each_node(roots, [&](const lang::Node& n) {
    if (n.op != lang::Op::Product) {
      return;
    }
    if (n.weight.format == lang::WeightFormat::Dense) {
      parts.push_back(n.weight.w);
    } else {
      parts.push_back(n.weight.scales);
      parts.push_back(n.weight.biases);
    }
  });
  return parts;
}

bool narrow(Graph& graph, int constant) {
  auto& node = graph.nodes[constant];
  auto& result = node.results[0];
  if (node.kind != Kind::Constant || result.type != lang::Type::F32) {
    return false;
  }
  for (auto dtype : {mx::float16, mx::bfloat16}) {
    // The cast keeps the order in memory, and with it the readers' strides.
    auto half = mx::astype(*node.array, dtype);
    if (is_exact(*node.array, half) &&
        half.strides() == node.array->strides()) {
      node.array = half;
      result.type = dtype == mx::float16 ? lang::Type::F16 : lang::Type::BF16;
      return true;
    }
  }
  return false;
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
    .summary =
        "float32 weights and scales that 16 bits hold exactly are read so",
    .order = 60,
    .run = run,
});

} // namespace
} // namespace zmlx::graph
