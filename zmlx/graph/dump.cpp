#include "zmlx/graph/dump.h"

#include <algorithm>
#include <map>

#include <fmt/ranges.h>

#include "zmlx/graph/presets.h"

namespace zmlx::graph {
namespace {

std::string shape_text(const lang::Shape& shape) {
  return fmt::format("({})", fmt::join(shape, ", "));
}

std::string value_text(const Graph& graph, Ref ref) {
  const auto& node = graph.nodes[ref.node];
  std::string name = node.name.empty() ? "constant" : node.name;
  if (node.kind == Kind::Placeholder || node.kind == Kind::Constant) {
    return name;
  }
  return node.results.size() > 1 ? fmt::format("%{}.{}", ref.node, ref.result)
                                 : fmt::format("%{}", ref.node);
}

std::string result_text(const Graph& graph, const Result& result) {
  auto text =
      fmt::format("{}{}", lang::name_of(result.type), shape_text(result.shape));
  if (result.target) {
    text += " -> " + value_text(graph, storage_of(graph, result.target->value));
    if (result.target->view.at.node >= 0) {
      text += fmt::format("[{}]", value_text(graph, result.target->view.at));
    }
  }
  return text;
}

} // namespace

std::string to_text(const Graph& graph) {
  std::string text;
  for (size_t n = 0; n < graph.nodes.size(); n++) {
    const auto& node = graph.nodes[n];
    if (node.kind == Kind::Constant || node.kind == Kind::Placeholder) {
      continue;
    }
    std::vector<std::string> reads;
    for (const auto& operand : node.operands) {
      reads.push_back(value_text(graph, operand.value));
    }
    std::vector<std::string> makes;
    for (const auto& result : node.results) {
      makes.push_back(result_text(graph, result));
    }
    text += fmt::format(
        "%{} = {}({}) : {}{}\n",
        n,
        label_of(node),
        fmt::join(reads, ", "),
        fmt::join(makes, ", "),
        node.reason.empty() ? "" : "  # " + node.reason);
  }
  for (const auto& output : graph.outputs) {
    text += fmt::format(
        "{} = {}\n", output.name, value_text(graph, output.value.value));
  }
  return text;
}

namespace {

std::string quoted(std::string text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
    }
    result += c;
  }
  return result + "\"";
}

std::string dot_node(const Graph& graph, int n) {
  const auto& node = graph.nodes[n];
  std::vector<std::string> makes;
  for (const auto& result : node.results) {
    makes.push_back(shape_text(result.shape));
  }
  auto label =
      fmt::format("{}: {}\\n{}", n, label_of(node), fmt::join(makes, " "));
  const char* style = node.kind == Kind::Foreign ? "color=red,shape=box"
      : node.kind == Kind::Placeholder           ? "shape=ellipse"
                                                 : "shape=box";
  return fmt::format("  n{} [label=\"{}\",{}];\n", n, label, style);
}

} // namespace

std::string to_dot(const Graph& graph) {
  std::string text = "digraph step {\n  rankdir=TB;\n";
  std::map<int, std::string> groups;
  for (size_t n = 0; n < graph.nodes.size(); n++) {
    const auto& node = graph.nodes[n];
    if (node.kind == Kind::Constant) {
      continue;
    }
    auto line = dot_node(graph, static_cast<int>(n));
    if (node.group >= 0) {
      groups[node.group] += "  " + line;
    } else {
      text += line;
    }
  }
  for (const auto& [group, lines] : groups) {
    text += fmt::format("  subgraph cluster_{} {{\n{}  }}\n", group, lines);
  }
  for (size_t n = 0; n < graph.nodes.size(); n++) {
    for (const auto& operand : graph.nodes[n].operands) {
      if (graph.nodes[operand.value.node].kind != Kind::Constant) {
        text += fmt::format("  n{} -> n{};\n", operand.value.node, n);
      }
    }
  }
  for (const auto& output : graph.outputs) {
    text += fmt::format(
        "  out_{0} [label={1},shape=ellipse];\n  n{2} -> out_{0};\n",
        &output - graph.outputs.data(),
        quoted(output.name),
        output.value.value.node);
  }
  return text + "}\n";
}

} // namespace zmlx::graph
