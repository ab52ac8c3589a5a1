#include "zmlx/lang/operations.h"

#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"
#include "zmlx/lang/kernel.h"
#include "zmlx/lang/lower/evaluate.h"
#include "zmlx/lang/parse.h"

namespace zmlx::lang {
namespace {

std::vector<Operation> all() {
  std::vector<Operation> rows;
  for (int i = 0; i < kOperations; ++i) {
    rows.push_back(operation(static_cast<Op>(i)));
  }
  return rows;
}

TEST(Operations, ARowStandsAtItsOperation) {
  for (int i = 0; i < kOperations; ++i) {
    EXPECT_EQ(operation(static_cast<Op>(i)).op, static_cast<Op>(i));
  }
}

TEST(Operations, NamesAreUniqueAmongThoseOfOneArity) {
  std::set<std::pair<std::string_view, int>> names;
  for (const Operation& row : all()) {
    EXPECT_FALSE(row.name.empty());
    EXPECT_TRUE(names.emplace(row.name, row.arity).second) << row.name;
  }
}

TEST(Operations, KindsSayHowManyOperandsThereAre) {
  for (const Operation& row : all()) {
    if (row.kind == OpKind::Leaf) {
      EXPECT_EQ(row.arity, 0) << row.name;
    } else {
      EXPECT_GE(row.arity, 1) << row.name;
    }
    if (row.kind == OpKind::Read) {
      EXPECT_EQ(count_values(row), 1) << row.name;
    } else {
      EXPECT_EQ(count_values(row), row.arity) << row.name;
    }
    EXPECT_EQ(row.precedence > 0, row.written == Written::Infix) << row.name;
  }
}

TEST(Operations, ThoseWithANameAreFunctionsOfFormulas) {
  const auto known = formula_functions();
  const std::set<std::string> functions(known.begin(), known.end());
  EXPECT_EQ(functions.size(), known.size());
  for (const Operation& row : all()) {
    const bool called =
        row.written == Written::Call || row.written == Written::SpecialCall;
    EXPECT_EQ(functions.contains(std::string(row.name)), called) << row.name;
  }
}

TEST(Operations, ASlotIsNoPartOfATree) {
  EXPECT_THROW(make(Op::Slot, {}), InternalError);
}

// The gradient of x -> op(x) or op(x, 1.25), by differences of evaluate().
TEST(Operations, DerivativesAreThoseOfTheValues) {
  const auto value = [](const Expr& e, double x) {
    std::map<const Node*, double> known;
    for_each_node({e}, [&](const Node& node) {
      std::array<double, 3> in{};
      for (size_t k = 0; k < node.args.size(); ++k) {
        in[k] = known.at(node.args[k].get());
      }
      known[&node] = node.op == Op::Input ? x
          : node.op == Op::Constant
          ? node.value
          : *lower_detail::evaluate(node.op, Type::F64, in);
    });
    return known.at(e.get());
  };
  int checked = 0;
  for (const Operation& row : all()) {
    if (row.kind != OpKind::Map || row.arity > 2 || !row.derivative ||
        row.types == TypeRule::Own) {
      continue;
    }
    const Expr x = input(0);
    const Expr y =
        row.arity == 1 ? make(row.op, {x}) : make(row.op, {x, Expr(1.25)});
    CotangentFlow flow(*y, y, Expr(1.0));
    row.derivative(flow);
    double slope = 0;
    for (const auto& [operand, cotangent] : flow.given()) {
      slope += operand == 0 ? value(cotangent, 0.7) : 0;
    }
    const double h = 1e-6;
    const double by_differences =
        (value(y, 0.7 + h) - value(y, 0.7 - h)) / (2 * h);
    EXPECT_NEAR(slope, by_differences, 1e-8) << row.name;
    ++checked;
  }
  EXPECT_GE(checked, 21);
}

TEST(Operations, WhatANodeHoldsCounts) {
  const Expr x = input(0);
  EXPECT_FALSE(equal(extent(x, 0), extent(x, 1)));
  EXPECT_FALSE(equal(cumsum(x), cumsum(x, ScanOrder::Reverse)));
  EXPECT_FALSE(equal(top_values(x, 1), top_values(x, 2)));
  EXPECT_FALSE(equal(attention(x, x, x, x, 1), attention(x, x, x, x, 2)));
  EXPECT_FALSE(equal(product(x, {.bits = 4}), product(x, {.bits = 8})));
  EXPECT_FALSE(equal(product(x, {}), product(x, {.experts = 1})));
  EXPECT_FALSE(equal(product(x, {}), product(x, {.parts = {0, 0, 1}})));
  EXPECT_TRUE(equal(top_values(x, 2), top_values(input(0), 2)));
}

} // namespace
} // namespace zmlx::lang
