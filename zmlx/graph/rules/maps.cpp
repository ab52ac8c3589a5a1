// Element-wise primitives: one operation of the language each.

#include <fmt/format.h>

#include "zmlx/graph/lifter.h"
#include "zmlx/graph/primitives.h"
#include "zmlx/graph/view.h"
#include "zmlx/op/convert.h"
#include "zmlx/op/reference_maps.h"

namespace zmlx::graph {
namespace {

using lang::Expr;
using Inputs = std::vector<Operand>;

/// The body of a map over the inputs: constants of one element become numbers
/// of the formula, the rest its operands.
template <typename Make>
Operand emit_map(
    Lifter& lifter,
    const mx::array& a,
    const std::string& name,
    const Inputs& in,
    Make make) {
  lang::Body body;
  std::vector<Operand> operands;
  std::vector<Expr> values;
  for (const auto& operand : in) {
    if (auto number = lifter.constant_number(operand)) {
      values.emplace_back(*number);
      continue;
    }
    values.push_back(lang::input(static_cast<int>(operands.size())));
    body.inputs.push_back({.name = fmt::format("x{}", operands.size())});
    operands.push_back(operand);
  }
  body.outputs.push_back(
      {.name = "out", .value = make(values), .fixed = op::type_of(a)});
  // A number may have carried the broadcast; the operands must still have it.
  for (auto& operand : operands) {
    operand.view = broadcast_to(operand.view, op::shape_of(a));
  }
  return lifter.emit(a, name, std::move(body), std::move(operands));
}

/// A primitive that is one operation with one, two or three operands.
Rule operation(lang::Op op) {
  return
      [op](Lifter& lifter, const mx::array& a, const Inputs& in, std::string*) {
        return emit_map(
            lifter, a, a.primitive().name(), in, [&](const auto& values) {
              return lang::make(op, values);
            });
      };
}

template <typename Make>
Rule formula(Make make) {
  return
      [make](
          Lifter& lifter, const mx::array& a, const Inputs& in, std::string*) {
        return emit_map(lifter, a, a.primitive().name(), in, make);
      };
}

using Values = std::vector<Expr>;

/// The primitives that are one operation of the language.
const std::vector<AddRule> kOperations = [] {
  std::vector<AddRule> added;
  for (const auto& function : op::mlx_functions()) {
    if (function.primitive != nullptr) {
      added.emplace_back(function.primitive, operation(function.op));
    }
  }
  return added;
}();

const AddRule kOthers[] = {
    {"Select", operation(lang::Op::Select)},
    {"Square", formula([](const Values& v) { return v[0] * v[0]; })},
    {"AsType", formula([](const Values& v) { return v[0]; })},
    {"Greater", formula([](const Values& v) { return v[0] > v[1]; })},
    {"GreaterEqual", formula([](const Values& v) { return v[0] >= v[1]; })},
};

} // namespace
} // namespace zmlx::graph
