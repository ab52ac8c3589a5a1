#include <gtest/gtest.h>

#include "tests/lang/meaning.h"
#include "zmlx/base/errors.h"
#include "zmlx/lang/functions.h"
#include "zmlx/lang/lower.h"
#include "zmlx/lang/parse.h"

namespace zmlx::lang {
namespace {

Program lowered(std::string_view text, const std::vector<Type>& types) {
  std::vector<Input> inputs = {{"x"}, {"y"}, {"s", Role::Scalar}};
  inputs.resize(types.size());
  std::string why;
  auto program = lower(parse(text, inputs), types, &why);
  EXPECT_TRUE(program) << text << ": " << why;
  return program.value_or(Program{});
}

/// The code of a one-pass program, without the head.
std::string code_of(std::string_view text, const std::vector<Type>& types) {
  std::string all = to_text(lowered(text, types));
  return all.substr(all.find("pass 0\n") + 7);
}

std::string refused(
    const std::vector<Input>& inputs,
    const std::vector<Output>& outputs) {
  std::string why;
  std::vector<Type> types(inputs.size(), Type::F32);
  return lower({inputs, outputs}, types, &why) ? "lowered" : why;
}

std::string error_of(std::string_view text, const std::vector<Type>& types) {
  try {
    code_of(text, types);
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Typing, NumbersTakeTheTypeOfWhatTheyMeet) {
  EXPECT_EQ(code_of("x * 2", {Type::F16}), R"(  r0 = input 0 : float32
  r1 = 2 : float32 uniform
  r2 = * r0 r1 : float32
  output 0 = r2 : float16
)");
  EXPECT_EQ(code_of("x * 2", {Type::I64}), R"(  r0 = input 0 : int64
  r1 = 2 : int64 uniform
  r2 = * r0 r1 : int64
  output 0 = r2 : int64
)");
  EXPECT_EQ(code_of("x * 0.5", {Type::U8}), R"(  r0 = input 0 : int32
  r1 = cast r0 : float32 from int32
  r2 = 0.5 : float32 uniform
  r3 = * r1 r2 : float32
  output 0 = r3 : float32
)");
}

TEST(Typing, NumbersAmongThemselvesAreComputedInDouble) {
  EXPECT_EQ(code_of("x * (1.0 / 3.0)", {Type::F64}), R"(  r0 = input 0 : float64
  r1 = 0.3333333333333333 : float64 uniform
  r2 = * r0 r1 : float64
  output 0 = r2 : float64
)");
  EXPECT_NE(
      code_of("x + 7 / 2", {Type::F32}).find("r1 = 3 :"), std::string::npos);
}

TEST(Typing, TruthValues) {
  EXPECT_EQ(
      code_of("(x < y) + (x & 1)", {Type::I32, Type::F32}),
      R"(  r0 = input 0 : int32
  r1 = input 1 : float32
  r2 = cast r0 : float32 from int32
  r3 = < r2 r1 : bool from float32
  r4 = 1 : int32 uniform
  r5 = & r0 r4 : int32
  r6 = cast r3 : int32 from bool
  r7 = + r6 r5 : int32
  output 0 = r7 : int32
)");
  EXPECT_EQ(
      code_of("(x > 0) & (x < 2) ? x : 0", {Type::F32}),
      R"(  r0 = input 0 : float32
  r1 = 0 : float32 uniform
  r2 = < r1 r0 : bool from float32
  r3 = 2 : float32 uniform
  r4 = < r0 r3 : bool from float32
  r5 = && r2 r4 : bool
  r6 = select r5 r0 r1 : float32
  output 0 = r6 : float32
)");
}

TEST(Typing, Errors) {
  EXPECT_EQ(
      error_of("x ^ 2", {Type::F32}),
      "^ needs integers, got float32 and int32; for a power write pow(a, b)");
  EXPECT_EQ(
      error_of("x << y", {Type::I32, Type::F16}),
      "<< needs integers, got int32 and float32");
  EXPECT_EQ(
      error_of("x | 0.5 & 1", {Type::I32}),
      "& needs integers, got numbers with a point");
  EXPECT_EQ(
      error_of("pick(x, y)", {Type::F32, Type::F32}),
      "pick(x, place): expected an integer, got float32");
  EXPECT_EQ(
      error_of("x + 5000000000", {Type::I32}),
      "the number 5000000000 does not fit int32");
  EXPECT_EQ(
      error_of("pick(s, 0) + x + y", {Type::F32, Type::F32, Type::F32}),
      "s: pick reads arrays with rows, and this input has none");
}

TEST(Typing, RolesForbidUses) {
  auto error = [](Role role) -> std::string {
    try {
      refused({{"w", role}}, {{"out", exp(input(0)), -1, {}}});
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(
      error(Role::Whole),
      "w: an input read as a whole has no element at a place");
  EXPECT_EQ(
      error(Role::Row), "w: an input read by rows is read with pick(w, place)");
}

TEST(Typing, RoundingsThatChangeNothingDisappear) {
  for (auto text : {"as(float32, x)", "as(float64, x)", "as(float16, x)"}) {
    EXPECT_EQ(
        code_of(text, {Type::F16}),
        "  r0 = input 0 : float32\n  output 0 = r0 : float16\n");
  }
  EXPECT_EQ(
      code_of(
          "as(float16, max(as(float16, x + x), as(float16, x)))", {Type::F32}),
      R"(  r0 = input 0 : float32
  r1 = + r0 r0 : float32
  r2 = as r1 : float32 rounded to float16
  r3 = as r0 : float32 rounded to float16
  r4 = max r2 r3 : float32
  output 0 = r4 : float32
)");
  EXPECT_EQ(code_of("as(uint8, x)", {Type::F32}), R"(  r0 = input 0 : float32
  r1 = cast r0 : int32 from float32
  r2 = as r1 : int32 rounded to uint8
  r3 = cast r2 : float32 from int32
  output 0 = r3 : float32
)");
}

TEST(Fold, RoundsConstantsAsStored) {
  EXPECT_NE(
      code_of("x + as(float16, 0.1)", {Type::F32}).find("0.0999755859375"),
      std::string::npos);
  EXPECT_NE(
      code_of("x + as(bfloat16, 0.1)", {Type::F32}).find("0.10009765625"),
      std::string::npos);
  EXPECT_NE(
      code_of("x + as(float16, 65520.0)", {Type::F32}).find("= inf"),
      std::string::npos);
  EXPECT_NE(
      code_of("x + as(float16, 6e-8)", {Type::F32})
          .find("5.960464477539063e-08"),
      std::string::npos);
}

TEST(Fold, IdentitiesAreExact) {
  std::string same = "  r0 = input 0 : float32\n  output 0 = r0 : float32\n";
  for (auto text :
       {"x * 1",
        "1.0 * x",
        "x / 1",
        "x - 0",
        "x + -0.0",
        "--x",
        "pow(x, 1)",
        "true ? x : x + 1",
        "select(x > 0, x, x)"}) {
    EXPECT_EQ(code_of(text, {Type::F32}), same) << text;
  }
  // -0 + 0 is 0, and 0 * x is NaN for infinite x.
  EXPECT_NE(code_of("x + 0", {Type::F32}), same);
  EXPECT_NE(code_of("x * 0", {Type::F32}).find("* r0 r1"), std::string::npos);
}

TEST(Share, EqualValuesAreComputedOnce) {
  EXPECT_EQ(
      code_of("exp(x + 1) * exp(x + 1)", {Type::F32}),
      R"(  r0 = input 0 : float32
  r1 = 1 : float32 uniform
  r2 = + r0 r1 : float32
  r3 = exp r2 : float32
  r4 = * r3 r3 : float32
  output 0 = r4 : float32
)");
  Program softmaxes =
      lowered("softmax(x) + sum(exp(x - max_of(x)))", {Type::F32});
  EXPECT_EQ(softmaxes.row.slots, 2);
}

TEST(Schedule, ReductionsOfOneDepthShareAPass) {
  Program p = lowered(
      "sum(x) + max_of(x * y) + sum(x - mean(y))", {Type::F32, Type::F32});
  ASSERT_EQ(p.row.passes.size(), 3u);
  EXPECT_EQ(p.row.passes[0].reductions.size(), 3u);
  EXPECT_EQ(p.row.passes[1].reductions.size(), 1u);
  EXPECT_EQ(p.row.slots, 4);
  ASSERT_EQ(p.row.passes[2].stores.size(), 1u);
  EXPECT_TRUE(p.row.passes[2].stores[0].one_per_row);
}

TEST(Schedule, StoresWaitForTheLastReadOfTheRow) {
  Program p = lowered(
      "s2 = x + y; z = rms_norm(x + y, y, 1e-5)", {Type::F32, Type::F32});
  ASSERT_EQ(p.row.passes.size(), 2u);
  EXPECT_TRUE(p.row.passes[0].stores.empty());
  EXPECT_EQ(p.row.passes[1].stores.size(), 2u);
  // Nothing reads the row after the first pass here.
  p = lowered("e = exp(x); t = sum(exp(x))", {Type::F32});
  ASSERT_EQ(p.row.passes.size(), 2u);
  EXPECT_EQ(p.row.passes[0].stores.size(), 1u);
  EXPECT_TRUE(p.row.passes[1].stores[0].one_per_row);
}

TEST(Schedule, Stages) {
  EXPECT_EQ(lowered("x + 1", {Type::F32}).stage, Stage::Map);
  EXPECT_EQ(lowered("x + index()", {Type::F32}).stage, Stage::Row);
  EXPECT_EQ(lowered("x + width()", {Type::F32}).stage, Stage::Row);
  EXPECT_EQ(lowered("sum(x)", {Type::F32}).stage, Stage::Row);
  Program picks = lowered("pick(x, y)", {Type::F32, Type::I32});
  EXPECT_EQ(picks.stage, Stage::Row);
  EXPECT_EQ(picks.picked, (std::vector<bool>{true, false}));
  picks = lowered("x + pick(x, 0)", {Type::F32});
  EXPECT_EQ(picks.picked, (std::vector<bool>{false}));
}

TEST(Schedule, NumbersFillTheirRow) {
  Program p = lowered(
      "a = x; b = s * 2; c = sum(x); d = y * 0 + 1",
      {Type::F32, Type::F32, Type::F32});
  std::vector<bool> one_per_row(4);
  for (const Pass& pass : p.row.passes) {
    for (const Store& store : pass.stores) {
      one_per_row[store.output] = store.one_per_row;
    }
  }
  EXPECT_EQ(one_per_row, (std::vector<bool>{false, false, true, false}));
}

TEST(Product, WhatHasNoStage) {
  std::vector<Input> in = {
      {"x"}, {"y"}, {"w", Role::Whole}, {"v", Role::Whole}};
  Expr p = product(input(0), {.parts = {2}});
  auto out = [](Expr e) { return Output{"out", std::move(e), -1, {}}; };
  EXPECT_EQ(
      refused(in, {out(product(p, {.parts = {3}}))}), "a product of a product");
  EXPECT_EQ(
      refused(in, {out(p + product(input(1), {.parts = {3}}))}),
      "products of different rows");
  EXPECT_EQ(refused(in, {out(argmax(p))}), "argmax over a product's places");
  EXPECT_EQ(
      refused(in, {out(p + sum(input(1)))}), "sum of a row beside its product");
  EXPECT_EQ(
      refused(in, {out(p), out(input(1))}),
      "an output without a product beside one with it");
  EXPECT_EQ(
      refused(in, {out(-attention(input(0), input(1), input(2), input(3), 1))}),
      "attention with other operations around it");
  Expr deep = input(0);
  for (int i = 0; i < 70000; ++i) {
    deep = tanh(deep);
  }
  EXPECT_EQ(
      refused(in, {out(deep)}),
      "the formula has more than 65535 values in one pass");
}

TEST(Product, ReductionsAndSharedRows) {
  std::vector<Input> in = {
      {"x"}, {"r"}, {"w", Role::Whole}, {"v", Role::Whole}};
  Expr row = softmax(input(0));
  Expr twin = softmax(input(0)); // equal, not shared
  std::string why;
  auto program = lower(
      {in,
       {{"a", input(1) + product(row, {.parts = {2}}), -1, {}},
        {"b", product(twin, {.parts = {3}}), -1, Type::F16}}},
      {Type::BF16, Type::BF16, Type::F16, Type::F32},
      &why);
  ASSERT_TRUE(program) << why;
  EXPECT_EQ(program->row.passes.size(), 3u);
  EXPECT_EQ(program->weights.size(), 2u);
  EXPECT_EQ(program->store.stores.size(), 2u);
  EXPECT_EQ(program->row.passes[2].stores[0].output, -1);
  EXPECT_EQ(program->outputs, (std::vector<Type>{Type::BF16, Type::F16}));
}

TEST(Product, WeightsThatNothingNeedsAreGone) {
  std::vector<Input> in = {{"x"}, {"w", Role::Whole}, {"v", Role::Whole}};
  Expr kept = product(input(0), {.parts = {2}});
  Expr either = select(0, product(input(0), {.parts = {1}}), kept);
  std::string why;
  auto program = lower(
      {in, {{"out", either, -1, {}}}}, {Type::F32, Type::F32, Type::F32}, &why);
  ASSERT_TRUE(program) << why;
  ASSERT_EQ(program->weights.size(), 1u);
  EXPECT_EQ(program->weights[0].parts[0], 2);
  EXPECT_EQ(program->store.code[0].number, 0);
}

TEST(Attention, Term) {
  std::vector<Input> in = {
      {"q", Role::Whole},
      {"k", Role::Whole},
      {"v", Role::Whole},
      {"n", Role::Whole}};
  std::string why;
  auto program = lower(
      {in,
       {{"out",
         attention(input(0), input(1), input(2), input(3), 0.5),
         -1,
         {}}}},
      {Type::F16, Type::F32, Type::F32, Type::I32},
      &why);
  ASSERT_TRUE(program) << why;
  EXPECT_EQ(program->stage, Stage::Attention);
  EXPECT_EQ(program->outputs, std::vector<Type>{Type::F16});
  EXPECT_EQ(program->attention.length, 3);
  EXPECT_EQ(program->attention.scale, 0.5);
}

TEST(Meaning, LoweredProgramsComputeTheirTrees) {
  testing::RandomTrees random(20261123);
  for (int round = 0; round < 3000; ++round) {
    random.forget();
    Body body{{{"x"}, {"y"}, {"s", Role::Scalar}}, {}};
    for (int i = 0; i <= random.below(2); ++i) {
      body.outputs.push_back(
          {"o" + std::to_string(i), random.tree(4), -1, Type::F64});
    }
    std::vector<testing::Row> inputs(3, testing::Row(3));
    for (int i = 0; i < 3; ++i) {
      inputs[0][i] = random.uniform();
      inputs[1][i] = std::round(random.uniform() * 2);
      inputs[2][i] = 0.75;
    }
    std::string why;
    auto program = lower(body, {Type::F64, Type::F64, Type::F64}, &why);
    ASSERT_TRUE(program) << why;
    auto result = testing::run(*program, inputs);
    for (size_t o = 0; o < result.size(); ++o) {
      for (size_t i = 0; i < result[o].size(); ++i) {
        double expected = testing::evaluate(*body.outputs[o].value, inputs, i);
        ASSERT_DOUBLE_EQ(result[o][i], expected) << "round " << round << "\n"
                                                 << to_text(*program);
      }
    }
  }
}

} // namespace
} // namespace zmlx::lang
