#include "zmlx/lang/parse.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/lang/meaning.h"
#include "zmlx/base/errors.h"
#include "zmlx/lang/functions.h"
#include "zmlx/lang/print.h"

namespace zmlx::lang {
namespace {

const std::vector<Input> kInputs = formula_inputs({"x", "y"}, {"s"});
const Expr x = input(0);
const Expr y = input(1);
const Expr s = input(2);

Expr value_of(std::string_view text) {
  Body body = parse(text, kInputs, {.unused_allowed = true});
  EXPECT_EQ(body.outputs.size(), 1u);
  return body.outputs[0].value;
}

void reads(std::string_view text, const Expr& expected) {
  Body wanted{kInputs, {{"out", expected, -1, {}}}};
  Body got = parse(text, kInputs, {.unused_allowed = true});
  EXPECT_TRUE(equal(value_of(text), expected))
      << text << "\nread as  " << print(got) << "\nexpected " << print(wanted);
}

TEST(Parse, Precedence) {
  reads("x + y * s", x + y * s);
  reads("x - y - s", (x - y) - s);
  reads("x / y * s", (x / y) * s);
  reads("-x * y", (-x) * y);
  reads("(x + y) * s", (x + y) * s);
  reads("x < y + 1 && y != s || !x", ((x < y + 1) && (y != s)) || !x);
  reads("x | y ^ s & x << 2", x | (y ^ (s & (x << 2))));
  reads("x & y == s", x & (y == s));
  reads("x > y", y < x);
  reads("x >= y", y <= x);
  reads("x ? y : s ? 1 : 2", select(x, y, select(s, 1, 2)));
  reads("x > 0 ? x : -x", select(x > 0, x, -x));
  reads("~x", x ^ -1);
  reads("x % y", x % y);
}

TEST(Parse, Numbers) {
  reads("1", Expr(1));
  reads("1.0", Expr(1.0));
  reads("1.", Expr(1.0));
  reads(".5", Expr(0.5));
  reads("1e-5", Expr(1e-5));
  reads("0.0f", Expr(0.0));
  reads("1f", Expr(1.0));
  reads("2h", Expr(2.0));
  reads("3u", Expr(3));
  reads("0x1F", Expr(31));
  reads("-1", Expr(-1));
  reads("-(1)", -Expr(1));
  reads("x -1", x - 1);
  reads("x - -1.5", x - -1.5);
  reads("INFINITY", Expr(INFINITY));
  reads("-inf", Expr(-INFINITY));
  reads("true", Expr(1));
  reads("9007199254740992", constant(0x1p53, Type::I32));
  EXPECT_TRUE(std::isnan(value_of("nan")->value));
}

TEST(Parse, Functions) {
  reads("silu(x)", x * sigmoid(x));
  reads("metal::exp(x)", exp(x));
  reads("metal::precise::log(x)", log(x));
  reads("kk_sigmoid(x)", sigmoid(x));
  reads("kk_silu(x) * y", silu(x) * y);
  reads("select(x, y, s)", select(x, y, s));
  reads("metal::select(x, y, s)", select(s, y, x));
  reads("where(x < y, x, y)", select(x < y, x, y));
  reads("rms_norm(x, y, 1e-5)", rms_norm(x, y, 1e-5));
  reads("softmax(x)", softmax(x));
  reads("elu(x)", elu(x, 1.0));
  reads("elu(x, s)", elu(x, s));
  reads("max(x, max_of(y))", max(x, max_of(y)));
  reads("x + index() / width()", x + index() / width());
  reads("pick(x, argmax(y))", pick(x, argmax(y)));
  reads("row_index() + extent(x, -1)", row_index() + extent(x, -1));
  reads("stop_gradient(x) * y", stop_gradient(x) * y);
  reads("random(s) & 1", random(s) & 1);
  reads("uniform(s) < y", uniform(s) < y);
  reads("take(x, row_index())", take(x, row_index()));
  reads("cumsum(x)", cumsum(x));
  reads("cumsum(x, true, 0)", cumsum(x, ScanOrder::Reverse));
  reads("cumsum(x, 0, 1)", cumsum(x, ScanOrder::ForwardExclusive));
  reads("top_values(x + y, 4)", top_values(x + y, 4));
  reads("top_places(x, 1)", top_places(x, 1));
}

// The words of Metal that formulas of ZMLX 0.7 are written in.
TEST(Parse, MetalWords) {
  reads("fma(x, y, s)", x * y + s);
  reads("powr(x, y)", pow(x, y));
  reads("metal::pow(x, (T)2)", pow(x, 2.0));
  reads("metal::rsqrt(x)", rsqrt(x));
  reads("fmin(x, fmax(y, s))", min(x, max(y, s)));
  reads("metal::abs(x) + fabs(y)", abs(x) + abs(y));
  reads("metal::fast::divide(x, y)", x / y);
  reads("isinf(x) || isnan(x)", is_inf(x) || is_nan(x));
  reads("metal::sign(x)", sign(x));
  reads("metal::clamp(x, 0.0f, 1.0f)", clip(x, 0.0, 1.0));
  reads("round(x)", round(x));
  reads("metal::rint(x)", round(x));
  reads("metal::round(x)", round_half_away(x));
  reads("static_cast<float>(x)", cast(Type::F32, x));
  reads("static_cast<T>(x + y)", x + y);
  reads("x < static_cast<int>(y)", x < cast(Type::I32, y));
  reads("-FLT_MAX", Expr(-std::numeric_limits<float>::max()));
  reads("M_LN2_F * x", Expr(std::numbers::ln2) * x);
}

Role role_in(const std::string& text, size_t input) {
  return parse(text, formula_inputs({"table", "ids"})).inputs.at(input).role;
}

TEST(Parse, WhatTakeReadsHasARole) {
  EXPECT_EQ(role_in("take(table, ids)", 0), Role::Table);
  EXPECT_EQ(role_in("take(table, ids) * extent(ids, 0)", 1), Role::EachRow);
  EXPECT_EQ(role_in("take(table, ids) + ids", 1), Role::Element);
  EXPECT_EQ(role_in("take(table, ids + 1)", 1), Role::EachRow);
  EXPECT_EQ(role_in("a = take(table, ids); b = table;", 0), Role::Element);
}

TEST(Parse, NamesFromOutside) {
  auto names =
      parse_definitions("T a = x * y; const float b = a;", kInputs).at(1);
  EXPECT_EQ(names.name, "b");
  EXPECT_TRUE(equal(names.value, cast(Type::F32, x * y)));
  Body body = parse(
      "total + x", kInputs, {.unused_allowed = true, .names = {{"total", s}}});
  EXPECT_TRUE(equal(body.outputs[0].value, s + x));
  EXPECT_TRUE(parse_definitions(" ", kInputs).empty());
}

TEST(Parse, Conversions) {
  reads("(float)x", cast(Type::F32, x));
  reads("int(x)", cast(Type::I32, x));
  reads("(T)x", x);
  reads("(T)1 - x", 1.0 - x);
  reads("-(T)1", -Expr(1.0));
  reads("T(x + y)", x + y);
  reads("(half)x", as(Type::F16, cast(Type::F16, x)));
  reads("(bool)x", x != 0);
  reads("as(float16, x)", as(Type::F16, x));
  reads("cast(int64, x + y)", cast(Type::I64, x + y));
  reads("(x)", x);
}

TEST(Parse, Names) {
  reads("let a = x + y; a * a", (x + y) * (x + y));
  reads("T s2 = kk_sigmoid(x); s2 + x * s2", sigmoid(x) + x * sigmoid(x));
  reads("const float a = x; a", cast(Type::F32, x));
  reads("auto a = x;\n\tauto b = a;\n b * b;", x * x);
  reads("let pi = 3; pi", Expr(3));
  Body two = parse("a = x + y; b = a * s;", kInputs);
  ASSERT_EQ(two.outputs.size(), 2u);
  EXPECT_EQ(two.outputs[1].name, "b");
  EXPECT_TRUE(equal(two.outputs[1].value, (x + y) * s));
  // A name is one value, however often it is used.
  EXPECT_EQ(two.outputs[0].value.get(), two.outputs[1].value->args[0].get());
}

TEST(Parse, Stages) {
  std::vector<Input> in = {
      {"x"}, {"w", Role::Whole}, {"c", Role::Whole}, {"b", Role::Whole}};
  Weight affine{WeightFormat::Affine, 4, 64, {1, 2, 3}};
  Body body = parse("silu(product(x, w, c, b, 4, 64))", in);
  EXPECT_TRUE(equal(body.outputs[0].value, silu(product(input(0), affine))));
  body = parse("product(x, w)", in, {.unused_allowed = true});
  EXPECT_TRUE(equal(body.outputs[0].value, product(input(0), {.parts = {1}})));
  body = parse("attention(x, w, c, b, 0.125)", in);
  EXPECT_TRUE(equal(
      body.outputs[0].value,
      attention(input(0), input(1), input(2), input(3), 0.125)));
  EXPECT_EQ(print(body), "attention(x, w, c, b, 0.125)");
}

TEST(Parse, ProductsOfEveryFormatAreReadAsTheyArePrinted) {
  std::vector<Input> in = {{"x"}, {"e", Role::EachRow}};
  for (int p = 0; p < kMostParts; ++p) {
    in.push_back({fmt::format("w{}", p), Role::Whole});
  }
  for (const WeightFormat format : all_formats()) {
    const FormatRow& row = row_of(format);
    Weight weight{format};
    weight.bits = row.bits.empty() ? 0 : row.bits.back();
    weight.group_size = row.group_sizes.empty() ? 0 : row.group_sizes.front();
    for (size_t p = 0; p < row.parts.size(); ++p) {
      weight.parts[p] = static_cast<int>(2 + p);
    }
    for (const int experts : {-1, 1}) {
      weight.experts = experts;
      const Body body{in, {{"out", product(input(0), weight), -1, {}}}};
      const std::string text = print(body);
      const Body again = parse(text, in, {.unused_allowed = true});
      EXPECT_TRUE(equal(again.outputs[0].value, body.outputs[0].value)) << text;
      const std::string long_form = fmt::format(
          "product({}, {}", row.name, text.substr(std::strlen("product(")));
      if (!text.starts_with(fmt::format("product({},", row.name))) {
        const Body named = parse(long_form, in, {.unused_allowed = true});
        EXPECT_TRUE(equal(named.outputs[0].value, body.outputs[0].value))
            << long_form;
      }
    }
  }
}

void round_trips(const Body& body) {
  std::string text = print(body);
  Body again = parse(text, body.inputs, {.unused_allowed = true});
  ASSERT_EQ(again.outputs.size(), body.outputs.size()) << text;
  for (size_t i = 0; i < body.outputs.size(); ++i) {
    ASSERT_EQ(again.outputs[i].name, body.outputs[i].name) << text;
    ASSERT_TRUE(equal(again.outputs[i].value, body.outputs[i].value)) << text;
  }
}

TEST(Print, RandomTreesRoundTrip) {
  testing::RandomTrees random(7);
  for (int round = 0; round < 1000; ++round) {
    random.forget();
    Body body{kInputs, {{"out", random.tree(6), -1, {}}}};
    round_trips(body);
    body.outputs.push_back({"second", random.tree(6), -1, {}});
    round_trips(body);
  }
}

TEST(Print, EveryOperationRoundTrips) {
  for (int i = static_cast<int>(Op::Index); i < static_cast<int>(Op::Pick);
       ++i) {
    Op op = static_cast<Op>(i);
    if (op == Op::As || op == Op::Cast || op == Op::Extent) {
      continue; // below
    }
    std::vector<Expr> args = {x, -y, -Expr(1.0)};
    args.erase(args.begin() + arity(op), args.end());
    // Alone, as both operands, and below the others.
    Expr e = make(op, args);
    round_trips({kInputs, {{"out", (e - e) * (x + e), -1, {}}}});
    round_trips({kInputs, {{"out", -e, -1, {}}}});
    round_trips({kInputs, {{"out", !e, -1, {}}}});
  }
  for (int t = 0; t <= static_cast<int>(Type::F64); ++t) {
    Type type = static_cast<Type>(t);
    round_trips({kInputs, {{"out", as(type, cast(type, x)) * y, -1, {}}}});
  }
  for (int axis : {-3, -1, 0, 2}) {
    round_trips({kInputs, {{"out", -extent(y, axis) * x, -1, {}}}});
  }
  for (int order = 0; order < 4; ++order) {
    Expr e = cumsum(x + y, static_cast<ScanOrder>(order));
    round_trips({kInputs, {{"out", x - e * e, -1, {}}}});
  }
  round_trips(
      {kInputs,
       {{"values", top_values(x * y, 7), -1, {}},
        {"places", top_places(x * y, 7), -1, {}}}});
  Expr row = take(x, row_index() % 3);
  round_trips({kInputs, {{"out", pick(y, 1) + row * row, -1, {}}}});
}

TEST(Print, NumbersRoundTrip) {
  for (double number :
       {0.0,
        -0.0,
        0.1,
        1.0,
        1e300,
        5e-324,
        123456789.0,
        -2.5,
        1e16,
        double(INFINITY),
        -double(INFINITY)}) {
    round_trips({kInputs, {{"out", x - Expr(number), -1, {}}}});
    round_trips({kInputs, {{"out", -Expr(number) * x, -1, {}}}});
  }
  for (double number : {0.0, -7.0, 2147483647.0, -0x1p31, 0x1p53, 0x1p60}) {
    round_trips({kInputs, {{"out", x - constant(number, Type::I32), -1, {}}}});
  }
}

TEST(Print, SharedAndDeepTrees) {
  Expr doubled = x;
  for (int i = 0; i < 60; ++i) {
    doubled = exp(doubled + doubled);
  }
  Body body{kInputs, {{"out", doubled, -1, {}}}};
  EXPECT_LT(print(body).size(), 4000u);
  round_trips(body);
  Expr deep = x;
  Expr left = x;
  for (int i = 0; i < 5000; ++i) {
    deep = -(y - tanh(deep));
    left = left + y;
  }
  round_trips({kInputs, {{"out", deep, -1, {}}}});
  round_trips({kInputs, {{"t1", left, -1, {}}}});
}

TEST(Print, ReadsWell) {
  Body body = parse("T a = silu(x); a * a + y * s", kInputs);
  EXPECT_EQ(print(body), "let t1 = x * sigmoid(x);\nt1 * t1 + y * s");
  body = parse("cumsum(x, 1, 0) + cumsum(y) * extent(s, 0)", kInputs);
  EXPECT_EQ(print(body), "cumsum(x, 1, 0) + cumsum(y) * extent(s, 0)");
}

} // namespace
} // namespace zmlx::lang
