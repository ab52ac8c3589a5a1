#include "cli/kernel_facts.h"

#include <algorithm>

#include <fmt/format.h>

#include "zmlx/backend/backend.h"
#include "zmlx/lang/derive.h"
#include "zmlx/lang/lower.h"
#include "zmlx/lang/operations.h"
#include "zmlx/lang/print.h"

namespace zmlx::cli {

namespace {

Costs costs_of(const lang::Body& body, const std::vector<lang::Type>& types) {
  Costs costs;
  lang::for_each_node(lang::roots(body), [&](const lang::Node& node) {
    costs.operations += lang::operation(node.op).cost != lang::Cost::None;
  });
  for (size_t i = 0; i < types.size(); ++i) {
    if (body.inputs[i].role == lang::Role::Element) {
      costs.bytes += static_cast<int64_t>(lang::size_of(types[i]));
    }
  }
  for (auto type : lang::infer_types(body, types)) {
    costs.bytes += static_cast<int64_t>(lang::size_of(type));
  }
  return costs;
}

/// As lang::print; the rows that an output is added to are one more value.
std::string formula_of(const lang::Body& body) {
  lang::Body printed{body.inputs, {}};
  for (const auto& output : body.outputs) {
    printed.outputs.push_back({output.name, output.value, -1, {}});
    if (output.into) {
      printed.outputs.push_back(
          {output.name + "_row", output.into->row, -1, {}});
    }
  }
  auto text = lang::print(printed);
  if (text.ends_with('\n')) {
    text.pop_back();
  }
  return text;
}

} // namespace

std::vector<lang::Type> input_types(
    const lang::Body& body,
    const std::map<std::string, lang::Fill>& fills,
    lang::Type type) {
  std::vector<lang::Type> types(body.inputs.size(), type);
  for (size_t i = 0; i < types.size(); ++i) {
    const auto fill = fills.find(body.inputs[i].name);
    if (fill != fills.end() && fill->second.type) {
      types[i] = *fill->second.type;
    }
  }
  // An input that stands alone where only an integer can.
  const auto whole = [&](const lang::Node& operand) {
    if (operand.op == lang::Op::Input) {
      auto& type = types[operand.input];
      type = lang::is_float(type) ? lang::Type::I32 : type;
    }
  };
  lang::for_each_node(lang::roots(body), [&](const lang::Node& node) {
    if (node.op == lang::Op::Product) {
      const auto parts = lang::parts_of(node.weight);
      for (size_t p = 0; p < parts.size(); ++p) {
        const auto& part = lang::row_of(node.weight.format).parts[p];
        types[parts[p]] = part.type.value_or(types[parts[p]]);
      }
    } else if (node.op == lang::Op::Attention) {
      whole(*node.args[3]);
    } else if (node.op == lang::Op::Take || node.op == lang::Op::Pick) {
      whole(*node.args[1]);
    } else if (node.op == lang::Op::Random) {
      whole(*node.args[0]);
    }
  });
  return types;
}

Facts facts_of(const lang::Body& body, const std::vector<lang::Type>& types) {
  Facts facts;
  for (size_t i = 0; i < types.size(); ++i) {
    facts.inputs.push_back(
        fmt::format("{} {}", body.inputs[i].name, lang::name_of(types[i])));
  }
  facts.formula = formula_of(body);
  facts.costs = costs_of(body, types);
  if (const auto program = lang::lower(body, types, &facts.cpu)) {
    facts.program = lang::to_text(*program);
    const auto* peer = backend::find_peer(mlx::core::Device::cpu);
    facts.cpu = peer ? peer->unsupported(*program).value_or("runs")
                     : "no peer for the CPU";
  }
  return facts;
}

std::vector<GradientFacts> gradients_of(
    const lang::Body& body,
    std::vector<lang::Type> types) {
  const auto outputs = lang::infer_types(body, types);
  const size_t inputs = types.size();
  types.insert(types.end(), outputs.begin(), outputs.end());
  std::vector<GradientFacts> list;
  for (size_t i = 0; i < inputs; ++i) {
    if (!lang::is_float(types[i])) {
      continue;
    }
    GradientFacts gradient{body.inputs[i].name, {}, {}};
    const auto derived =
        lang::derive(body, {static_cast<int>(i)}, &gradient.why);
    if (derived) {
      gradient.facts = facts_of(*derived, types);
    }
    list.push_back(std::move(gradient));
  }
  return list;
}

} // namespace zmlx::cli
