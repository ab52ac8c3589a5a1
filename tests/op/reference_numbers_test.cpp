// Integers, numbers and conversions: the reference and the CPU against C++'s
// own arithmetic.

#include <gtest/gtest.h>

#include <limits>

#include "tests/op/support.h"
#include "zmlx/base/errors.h"
#include "zmlx/lang/functions.h"
#include "zmlx/op/primitive.h"
#include "zmlx/op/reference.h"

namespace zmlx::op {

namespace {

using namespace test;
using lang::Define;
using lang::Expr;
using lang::Type;
using Arrays = std::vector<mx::array>;
using Values = std::vector<double>;

lang::Body body_of(const std::function<void(Define&)>& define) {
  return lang::Kernel("test", "", define).body();
}

// The outputs of the reference, after they were found equal to the CPU's.
Arrays outputs(const lang::Body& body, const Arrays& inputs) {
  auto want = reference(body, inputs);
  const auto got = op::apply("test", body, inputs);
  for (size_t i = 0; i < want.size(); ++i) {
    expect_same_bits(got[i], want[i]);
  }
  return want;
}

constexpr int kLeast = std::numeric_limits<int32_t>::min();

TEST(Integers, TheLeastOneDividesAsAnyOther) {
  const auto body = body_of([](Define& k) {
    auto a = k.input("a"), b = k.input("b");
    k.output(a / b, "quotient");
    k.output(a % b, "rest");
  });
  const auto out = outputs(
      body,
      {mx::array({kLeast, kLeast, kLeast, 7, 1}),
       mx::array({3, -1, kLeast, kLeast, kLeast})});
  EXPECT_EQ(values(out[0]), (Values{-715827882, double(kLeast), 1, 0, 0}));
  EXPECT_EQ(values(out[1]), (Values{1, 0, 0, 7.0 + kLeast, 1.0 + kLeast}));
}

TEST(Integers, UnsignedOnesHaveNoMinusOne) {
  const auto body = body_of([](Define& k) {
    auto a = k.input("a"), b = k.input("b");
    k.output(a / b, "quotient");
    k.output(a % b, "rest");
  });
  const uint32_t most = std::numeric_limits<uint32_t>::max();
  const auto out = outputs(
      body, {mx::array({most, most - 1, 7u}), mx::array({most, most, most})});
  EXPECT_EQ(values(out[0]), (Values{1, 0, 0}));
  EXPECT_EQ(values(out[1]), (Values{0, double(most - 1), 7}));
}

TEST(Integers, NegativePowersAreTruncated) {
  const auto body =
      body_of([](Define& k) { k.output(lang::pow(k.input("a"), -3)); });
  const auto out = outputs(body, {mx::array({1, -1, 2, 0, -5})});
  EXPECT_EQ(values(out[0]), (Values{1, -1, 0, 0, 0}));
}

TEST(Numbers, StayNumbersThroughEveryOperation) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x");
    k.output(x << (Expr(2) & 7), "shifted");
    k.output(lang::max(x, lang::abs(Expr(-3))), "most");
    k.output(x + lang::select(Expr(1) < 2, 1, 0), "next");
  });
  const uint32_t most = std::numeric_limits<uint32_t>::max();
  const auto out = outputs(body, {mx::array({most, 1u})});
  EXPECT_EQ(out[0].dtype(), mx::uint32);
  EXPECT_EQ(values(out[0]), (Values{double(most - 3), 4}));
  EXPECT_EQ(values(out[1]), (Values{double(most), 3}));
  EXPECT_EQ(values(out[2]), (Values{0, 2}));
}

TEST(Conversions, AsGivesBackTheTypeItWasGiven) {
  const auto body = body_of([](Define& k) {
    auto i = k.input("i"), x = k.input("x");
    k.output(lang::as(Type::F16, i) / 2, Type::I32, "half");
    k.output(lang::as(Type::I32, x) / 2, Type::F32, "part");
  });
  const auto out =
      outputs(body, {mx::array({7, 2049}), mx::array({3.7f, -1.f})});
  EXPECT_EQ(values(out[0]), (Values{3, 1024})); // 2049 rounds to 2048
  EXPECT_EQ(values(out[1]), (Values{1.5, -0.5}));
}

TEST(Conversions, NumbersRoundToTheTypeOfAnInput) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x");
    k.output(lang::as(x, 0.1) + 0 * lang::cast(Type::F32, x), Type::F32, "x");
  });
  const auto rounded = [&](mx::Dtype type) {
    const auto out = outputs(body, {mx::astype(mx::array({1.f, 2.f}), type)});
    return values(out[0])[0];
  };
  EXPECT_EQ(rounded(mx::float16), 0.0999755859375);
  EXPECT_EQ(rounded(mx::bfloat16), 0.10009765625);
  EXPECT_EQ(rounded(mx::float32), double(0.1f));
  EXPECT_EQ(rounded(mx::int32), 0);
}

TEST(Conversions, NumbersThatDoNotFitTheTypeOfAnInput) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x");
    k.output(lang::as(x, 300) + lang::cast(Type::F32, x), Type::F32, "y");
  });
  EXPECT_EQ(values(outputs(body, {mx::array({1, 2})})[0]), (Values{301, 302}));
  try {
    reference(body, {mx::astype(mx::array({1, 2}), mx::uint8)});
    FAIL() << "300 as uint8";
  } catch (const UserError& e) {
    EXPECT_STREQ(e.what(), "as: the number 300 does not fit uint8");
  }
}

TEST(Conversions, WhatIsNotZeroIsTrue) {
  const auto body = body_of([](Define& k) {
    auto i = k.input("i"), x = k.input("x");
    k.output(lang::as(Type::Bool, i), Type::I64, "whole");
    k.output(lang::as(Type::Bool, x), Type::F32, "real");
  });
  const auto out = outputs(
      body,
      {mx::array({int64_t{1} << 40, int64_t{0}}), mx::array({0.5f, 0.f})});
  EXPECT_EQ(values(out[0]), (Values{1, 0}));
  EXPECT_EQ(values(out[1]), (Values{1, 0}));
}

TEST(Rows, AnOutputStaysOneARowWhenWhatKnewTheRowIsFoldedAway) {
  const auto body = body_of([](Define& k) {
    auto s = k.scalar("s"), e = k.input("e", lang::Role::EachRow);
    k.input("x");
    k.output(lang::select(e < 0, s, s));
  });
  const auto out = outputs(
      body, {mx::array(2.f), mx::array({1.f, -1.f}), mx::zeros({2, 3})});
  EXPECT_EQ(out[0].shape(), (mx::Shape{2}));
  EXPECT_EQ(values(out[0]), (Values{2, 2}));
}

// Places that change along the row have no derivative as a kernel, so that MLX
// derives the reference.
TEST(DerivedReference, IntegersMadeOfFloatsAreConstants) {
  const auto body = body_of([](Define& k) {
    auto x = k.input("x");
    auto whole = lang::cast(Type::I32, x);
    auto read = lang::pick(x, lang::width() - 1 - lang::index());
    k.output(read * x + whole % lang::argmax(x) + whole, "value");
    k.output(lang::stop_gradient(x), "stopped");
    k.output(2.0 * x, "twice");
  });
  const mx::array x({0.5f, 3.5f, -1.5f});
  const auto c = [](float v) { return mx::full({3}, v); };
  const auto gradient = mx::vjp(
      [&](const Arrays& in) { return op::apply("test", body, in); },
      {x},
      {c(1), c(10), c(100)});
  // d/dx_i of the sum of x_i x_(2 - i) is 2 x_(2 - i).
  EXPECT_EQ(values(gradient.second[0]), (Values{197, 207, 201}));
}

} // namespace

} // namespace zmlx::op
