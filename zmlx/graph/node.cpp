#include "zmlx/graph/node.h"

#include <algorithm>
#include <numeric>

#include "zmlx/base/errors.h"
#include "zmlx/graph/view.h"

namespace zmlx::graph {

const lang::Shape& storage_shape(const Graph& graph, Ref ref) {
  return graph.result(storage_of(graph, ref)).shape;
}

Ref storage_of(const Graph& graph, Ref ref) {
  while (const auto& target = graph.result(ref).target) {
    ref = target->value;
  }
  return ref;
}

std::vector<lang::Type> operand_types(const Graph& graph, const Node& node) {
  std::vector<lang::Type> types;
  for (const auto& operand : node.operands) {
    types.push_back(graph.result(operand.value).type);
  }
  return types;
}

std::vector<std::vector<Reader>> readers(const Graph& graph) {
  std::vector<std::vector<Reader>> all(graph.nodes.size());
  for (size_t n = 0; n < graph.nodes.size(); n++) {
    for_each_ref(graph.nodes[n], [&](Ref ref, int operand) {
      all[ref.node].push_back({static_cast<int>(n), operand});
    });
  }
  for (size_t o = 0; o < graph.outputs.size(); o++) {
    all[graph.outputs[o].value.value.node].push_back({-1, static_cast<int>(o)});
  }
  return all;
}

namespace {

void check_operand(
    const Graph& graph,
    const Node& node,
    int number,
    const Operand& operand) {
  if (operand.value.node < 0 || operand.value.node >= number) {
    throw internal_error(
        "node {} ({}) reads node {}, which is not before it",
        number,
        node.name,
        operand.value.node);
  }
  if (operand.view.at.node >= number) {
    throw internal_error("node {} is placed by a later node", number);
  }
  const auto& source = graph.nodes[operand.value.node];
  if (source.kind == Kind::Constant || source.kind == Kind::Foreign ||
      operand.view.at.node >= 0) {
    return; // their strides are MLX's own
  }
  int64_t first = operand.view.offset;
  int64_t last = first;
  for (size_t i = 0; i < operand.view.shape.size(); i++) {
    auto reach = (operand.view.shape[i] - 1) * operand.view.strides[i];
    (reach < 0 ? first : last) += reach;
  }
  if (element_count(operand.view.shape) > 0 &&
      (first < 0 ||
       last >= element_count(storage_shape(graph, operand.value)))) {
    throw internal_error(
        "node {} ({}) reads outside of node {} ({})",
        number,
        node.name,
        operand.value.node,
        source.name);
  }
}

void check_kernel(const Node& node, int number) {
  if (node.operands.size() != node.body.inputs.size() ||
      node.results.size() != node.body.outputs.size()) {
    throw internal_error(
        "node {} ({}): operands or results do not fit its body",
        number,
        node.name);
  }
  std::vector<lang::Shape> shapes;
  for (const auto& operand : node.operands) {
    shapes.push_back(operand.view.shape);
  }
  auto expected = lang::infer_shapes(node.body, shapes);
  for (size_t i = 0; i < expected.size(); i++) {
    if (expected[i] != node.results[i].shape) {
      throw internal_error(
          "node {} ({}): result {} has another shape than its body gives",
          number,
          node.name,
          i);
    }
  }
}

} // namespace

void check(const Graph& graph) {
  for (size_t n = 0; n < graph.nodes.size(); n++) {
    const auto& node = graph.nodes[n];
    for (const auto& operand : node.operands) {
      check_operand(graph, node, n, operand);
    }
    for (const auto& result : node.results) {
      if (result.target) {
        check_operand(graph, node, n, *result.target);
      }
    }
    if (node.kind == Kind::Kernel) {
      check_kernel(node, n);
    }
  }
}

Graph compact(const Graph& graph) {
  std::vector<bool> needed(graph.nodes.size(), false);
  for (const auto& output : graph.outputs) {
    needed[output.value.value.node] = true;
  }
  for (size_t n = graph.nodes.size(); n-- > 0;) {
    const auto& node = graph.nodes[n];
    if (node.kind == Kind::Placeholder) {
      needed[n] = true;
    }
    if (needed[n]) {
      for_each_ref(node, [&](Ref ref, int) { needed[ref.node] = true; });
    }
  }
  std::vector<int> number(graph.nodes.size(), -1);
  Graph result{.device = graph.device};
  auto move = [&](Operand& operand) {
    operand.value.node = number[operand.value.node];
    if (operand.view.at.node >= 0) {
      operand.view.at.node = number[operand.view.at.node];
    }
  };
  // What is given comes first: a node that a fold moved ahead may read a
  // constant that stood behind it.
  std::vector<size_t> order(graph.nodes.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_partition(order.begin(), order.end(), [&](size_t n) {
    return graph.nodes[n].kind <= Kind::Constant;
  });
  for (size_t n : order) {
    if (!needed[n]) {
      continue;
    }
    number[n] = static_cast<int>(result.nodes.size());
    Node node = graph.nodes[n];
    for (auto& operand : node.operands) {
      move(operand);
    }
    for (auto& made : node.results) {
      if (made.target) {
        move(*made.target);
      }
    }
    if (node.tail_of >= 0) {
      node.tail_of = number[node.tail_of];
    }
    result.nodes.push_back(std::move(node));
  }
  result.outputs = graph.outputs;
  result.notes = graph.notes;
  for (auto& output : result.outputs) {
    move(output.value);
  }
  return result;
}

} // namespace zmlx::graph
