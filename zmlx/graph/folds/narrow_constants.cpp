// Weights, scales and biases that were widened to float32 once, for the sake of
// float32 activations, are read as float16 or bfloat16 where that holds every
// one of their values: half the bytes of a dense product, a sixth of a 4-bit
// one in groups of 32.

#include <algorithm>

#include "zmlx/graph/fold.h"
#include "zmlx/graph/view.h"

namespace zmlx::graph {
namespace {

constexpr const char* kName = "narrow_constants";

bool is_exact(const mx::array& wide, const mx::array& narrow) {
  return mx::array_equal(mx::astype(narrow, mx::float32), wide).item<bool>();
}

/// The floating arrays of each weight, as operand numbers. Those of one weight
/// share a type.
std::vector<std::vector<int>> parts_of_weights(const Node& node) {
  std::vector<std::vector<int>> parts;
  lang::for_each_node(lang::roots(node.body), [&](const lang::Node& n) {
    if (n.op != lang::Op::Product) {
      return;
    }
    const auto numbers = lang::parts_of(n.weight);
    std::vector<int> floats;
    for (size_t p = 0; p < numbers.size(); p++) {
      if (!lang::row_of(n.weight.format).parts[p].type) {
        floats.push_back(numbers[p]);
      }
    }
    parts.push_back(std::move(floats));
  });
  return parts;
}

bool are_wide(const Graph& graph, const std::vector<int>& constants) {
  return std::all_of(constants.begin(), constants.end(), [&](int constant) {
    const auto& node = graph.nodes[constant];
    return node.kind == Kind::Constant &&
        node.results[0].type == lang::Type::F32;
  });
}

/// The arrays in `dtype`; none where one of them is not exact.
std::vector<mx::array> narrowed(
    const Graph& graph,
    const std::vector<int>& constants,
    mx::Dtype dtype) {
  std::vector<mx::array> narrow;
  for (int constant : constants) {
    const auto& wide = *graph.nodes[constant].array;
    auto half = mx::astype(wide, dtype);
    if (!is_exact(wide, half)) {
      return {};
    }
    narrow.push_back(half);
  }
  return narrow;
}

bool narrow(Graph& graph, const std::vector<int>& constants) {
  for (auto dtype : {mx::float16, mx::bfloat16}) {
    auto arrays = narrowed(graph, constants, dtype);
    for (size_t i = 0; i < arrays.size(); i++) {
      auto& node = graph.nodes[constants[i]];
      node.array = arrays[i];
      node.results[0].type =
          dtype == mx::float16 ? lang::Type::F16 : lang::Type::BF16;
    }
    if (!arrays.empty()) {
      return true;
    }
  }
  return false;
}

/// What a kernel stores must not follow the type of what it reads.
void fix_types(Node& node) {
  for (size_t o = 0; o < node.results.size(); o++) {
    node.body.outputs[o].fixed = node.results[o].type;
    node.body.outputs[o].like = -1;
  }
  mark(node, kName);
}

void run(Graph& graph) {
  const auto all_readers = readers(graph);
  auto only_kernels_read = [&](int constant) {
    const auto& list = all_readers[constant];
    return std::all_of(list.begin(), list.end(), [&](const Reader& reader) {
      return reader.node >= 0 && graph.nodes[reader.node].kind == Kind::Kernel;
    });
  };
  for (size_t n = 0; n < graph.nodes.size(); n++) {
    if (graph.nodes[n].kind != Kind::Kernel) {
      continue;
    }
    for (const auto& parts : parts_of_weights(graph.nodes[n])) {
      std::vector<int> constants;
      for (int part : parts) {
        constants.push_back(graph.nodes[n].operands[part].value.node);
      }
      if (!are_wide(graph, constants) ||
          !std::all_of(constants.begin(), constants.end(), only_kernels_read)) {
        continue;
      }
      if (!narrow(graph, constants)) {
        leave_note(
            graph,
            kName,
            static_cast<int>(n),
            "neither float16 nor bfloat16 holds its float32 constants exactly");
        continue;
      }
      for (int constant : constants) {
        for (const auto& reader : all_readers[constant]) {
          fix_types(graph.nodes[reader.node]);
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
