#include "zmlx/lang/derive.h"

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"
#include "zmlx/lang/functions.h"
#include "zmlx/lang/lower.h"
#include "zmlx/lang/print.h"

namespace zmlx::lang {
namespace {

using Definition = Kernel::Definition;

Body body_of(const Definition& definition) {
  return Kernel("k", "", definition).body();
}

std::vector<Input> inputs_of(const Definition& definition) {
  return with_cotangents(body_of(definition));
}

std::string reason(const Definition& definition, std::vector<int> wanted) {
  std::string why;
  return derive(body_of(definition), wanted, &why) ? "derived" : why;
}

// A row of every role; what is read of them is the test's.
struct Names {
  Expr x, e, s, rows, table, at;
};

Names every_role(Define& k) {
  const Expr x = k.input("x"), e = k.input("e", Role::EachRow);
  const Expr s = k.scalar("s"), rows = k.input("rows", Role::Row);
  const Expr table = k.input("table", Role::Table);
  const Expr at = k.input("at", Role::EachRow);
  return {x, e, s, rows, table, at};
}

TEST(Derive, CotangentsFollowTheInputsInTheRolesOfTheirOutputs) {
  const auto inputs = inputs_of([](Define& k) {
    auto x = k.input("x"), at = k.input("at", Role::EachRow);
    k.output(x * 2.0, "y");
    k.output(sum(x), "total");
    k.output_rows(x, at, 4, "added");
    k.output(top_values(x, 2), "best");
  });
  ASSERT_EQ(inputs.size(), 6u);
  EXPECT_EQ(inputs[0].name, "x");
  EXPECT_EQ(inputs[2].name, "d_y");
  EXPECT_EQ(inputs[2].role, Role::Element);
  EXPECT_EQ(inputs[3].role, Role::EachRow);
  EXPECT_EQ(inputs[4].role, Role::Table);
  EXPECT_EQ(inputs[5].role, Role::Row);
}

TEST(Derive, ACotangentWhoseNameIsTakenGetsAnother) {
  const auto inputs = inputs_of([](Define& k) {
    auto x = k.input("x");
    k.output(x * k.input("d_out"));
  });
  EXPECT_EQ(inputs.back().name, "d_out_");
}

TEST(Derive, OutputsAreTheWantedInputsInTheirOrder) {
  const auto gradient = derive(
      body_of([](Define& k) {
        const auto in = every_role(k);
        k.output(in.x * in.s + in.e * take(in.table, in.at) + pick(in.rows, 0));
      }),
      {4, 0, 2, 1},
      nullptr);
  ASSERT_TRUE(gradient.has_value());
  ASSERT_EQ(gradient->outputs.size(), 4u);
  const auto& [table, x, s, e] = std::tie(
      gradient->outputs[0],
      gradient->outputs[1],
      gradient->outputs[2],
      gradient->outputs[3]);
  EXPECT_EQ(table.name, "d_table");
  ASSERT_TRUE(table.into.has_value());
  EXPECT_EQ(table.into->like, 4);
  EXPECT_EQ(table.like, 4);
  EXPECT_EQ(x.name, "d_x");
  EXPECT_EQ(x.sum_like, 0);
  EXPECT_EQ(x.like, 0);
  EXPECT_EQ(s.sum_like, 2);
  EXPECT_EQ(e.sum_like, 1);
  const std::vector<Shape> shapes = {
      {2, 3, 4}, {2, 1}, {}, {3, 5}, {7, 4}, {3}, {2, 3, 4}};
  EXPECT_EQ(
      infer_shapes(*gradient, shapes),
      (std::vector<Shape>{{7, 4}, {2, 3, 4}, {}, {2, 1}}));
}

TEST(Derive, TypesAreThoseOfTheInputs) {
  const auto gradient = derive(
      body_of([](Define& k) {
        auto x = k.input("x"), w = k.input("w"), n = k.input("n");
        k.output(x * w * n);
      }),
      {0, 1},
      nullptr);
  EXPECT_EQ(
      infer_types(*gradient, {Type::F16, Type::BF16, Type::I32, Type::F32}),
      (std::vector<Type>{Type::F16, Type::BF16}));
}

TEST(Derive, ReadsAsItWouldBeWrittenByHand) {
  const auto text = [](Expr value) {
    return print(*derive(
        body_of([&](Define& k) {
          k.input("x");
          k.output(value);
        }),
        {0},
        nullptr));
  };
  const Expr x = input(0);
  EXPECT_EQ(text(tanh(x)), "let t1 = tanh(x);\nd_x = d_out * (1 - t1 * t1);\n");
  EXPECT_EQ(text(sin(x)), "d_x = d_out * cos(x);\n");
  EXPECT_EQ(text(x - 1), "d_x = d_out;\n");
  EXPECT_EQ(text(floor(x)), "d_x = 0.0;\n");
  EXPECT_EQ(text(stop_gradient(x)), "d_x = 0.0;\n");
  EXPECT_EQ(text(sum(x)), "d_x = d_out;\n");
  EXPECT_EQ(text(as(Type::F16, x)), "d_x = d_out;\n");
  EXPECT_EQ(text(as(Type::I8, x)), "d_x = 0.0;\n");
}

// One value in several places is computed once, however deep the formula.
TEST(Derive, SharedValuesStayShared) {
  const auto gradient = derive(
      body_of([](Define& k) {
        Expr y = k.input("x");
        for (int i = 0; i < 40; ++i) {
          y = sin(y) * y;
        }
        k.output(y);
      }),
      {0},
      nullptr);
  ASSERT_TRUE(gradient.has_value());
  EXPECT_LT(postorder(roots(*gradient)).size(), 800u);
}

TEST(Derive, ANumberCountsAtEveryPlaceOfTheRow) {
  const auto gradient = derive(
      body_of([](Define& k) {
        auto s = k.scalar("s");
        k.input("x");
        k.output(sum(s));
      }),
      {0},
      nullptr);
  // A row's share is a sum over its places, and a number's is one per row.
  EXPECT_EQ(one_per_row(*gradient), std::vector<bool>{true});
  bool sums = false;
  for_each_node(roots(*gradient), [&](const Node& node) {
    sums = sums || node.op == Op::Sum;
  });
  EXPECT_TRUE(sums);
}

TEST(Derive, WhatNobodyReadsGetsZeros) {
  const auto gradient = derive(
      body_of([](Define& k) { k.output(exp(every_role(k).x)); }),
      {1, 2, 4},
      nullptr);
  ASSERT_TRUE(gradient.has_value());
  EXPECT_EQ(
      infer_shapes(*gradient, {{2, 3}, {2}, {}, {2, 5}, {7, 3}, {2}, {2, 3}}),
      (std::vector<Shape>{{2}, {}, {7, 3}}));
  for (const auto& output : gradient->outputs) {
    EXPECT_TRUE(equal(output.value, Expr(0.0)));
  }
}

TEST(Derive, SaysWhatHasNoDerivativeAsAKernel) {
  EXPECT_EQ(
      reason(
          [](Define& k) {
            auto x = k.input("x");
            k.output(product(x, k.weight("w", 0, 0)));
          },
          {0}),
      "product has no derivative here");
  EXPECT_EQ(
      reason(
          [](Define& k) {
            auto x = k.input("x");
            k.output(pick(x, width() - 1 - index()));
          },
          {0}),
      "pick(x, ...) reads places that change along the row");
  EXPECT_EQ(
      reason(
          [](Define& k) {
            const auto in = every_role(k);
            k.output(take(in.table, in.at) * take(in.table, in.at + 1));
          },
          {4}),
      "table is taken from twice");
  // Who does not ask for it is not held up by it.
  EXPECT_EQ(
      reason(
          [](Define& k) {
            auto x = k.input("x"), y = k.input("y");
            k.output(y * pick(x, width() - 1 - index()));
          },
          {1}),
      "derived");
}

TEST(Derive, GradientsGivenByHandAreTakenAsTheyAre) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x"), y = k.input("y");
    auto c = k.cotangent();
    k.output(floor(x) * y);
    k.gradient(x, c * y); // straight through
  });
  const auto gradient = derive(body, {0, 1}, nullptr);
  ASSERT_TRUE(gradient.has_value());
  EXPECT_EQ(print(*gradient), "d_x = d_out * y;\nd_y = d_out * floor(x);\n");
  EXPECT_EQ(gradient->outputs[0].sum_like, 0);
}

TEST(Derive, AGradientIsABodyLikeAnyOther) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x"), w = k.input("w");
    k.output(rms_norm(x, w, 1e-5));
  });
  const auto first = derive(body, {0, 1}, nullptr);
  ASSERT_TRUE(first.has_value());
  const auto second = derive(*first, {0, 1, 2}, nullptr);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(
      infer_shapes(*second, {{2, 5}, {5}, {2, 5}, {2, 5}, {5}}),
      (std::vector<Shape>{{2, 5}, {5}, {2, 5}}));
  std::string why;
  for (const auto& gradient : {*first, *second}) {
    const std::vector<Type> types(gradient.inputs.size(), Type::F32);
    const auto program = lower(gradient, types, &why);
    ASSERT_TRUE(program.has_value()) << why;
    EXPECT_EQ(program->stage, Stage::Row);
  }
}

// What waits for a sum is a factor of the terms, not a part of them.
TEST(Derive, TheSumsOfAGradientDoNotWaitForEachOther) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x"), g = k.input("g"), b = k.input("b");
    k.output(layer_norm(x, g, b, 1e-5));
  });
  const auto passes = [](const Body& b) {
    std::string why;
    const std::vector<Type> types(b.inputs.size(), Type::F32);
    const auto program = lower(b, types, &why);
    EXPECT_TRUE(program.has_value()) << why;
    return program ? program->row.passes.size() : 0;
  };
  const auto gradient = derive(body, {0, 1, 2}, nullptr);
  ASSERT_TRUE(gradient.has_value());
  EXPECT_EQ(passes(*gradient), 3u);
  EXPECT_EQ(passes(*gradient), passes(body));
}

} // namespace
} // namespace zmlx::lang
