#include "zmlx/lang/expr.h"

#include <cmath>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"
#include "zmlx/lang/functions.h"
#include "zmlx/lang/kernel.h"

namespace zmlx::lang {
namespace {

TEST(Expr, NamesAndArities) {
  EXPECT_EQ(name_of(Op::Input), "input");
  EXPECT_EQ(name_of(Op::Not), "!");
  EXPECT_EQ(name_of(Op::Shr), ">>");
  EXPECT_EQ(name_of(Op::Select), "select");
  EXPECT_EQ(name_of(Op::Attention), "attention");
  EXPECT_EQ(arity(Op::Erf), 1);
  EXPECT_EQ(arity(Op::NotEqual), 2);
  EXPECT_EQ(arity(Op::Pick), 2);
  EXPECT_EQ(arity(Op::Attention), 4);
  EXPECT_TRUE(is_reduction(Op::Sum) && is_reduction(Op::ArgMin));
  EXPECT_FALSE(is_reduction(Op::Pick) || is_reduction(Op::Select));
  EXPECT_THROW(make(Op::Add, {Expr(1)}), InternalError);
  EXPECT_THROW(constant(0.5, Type::I32), InternalError);
}

TEST(Expr, EqualIsStructural) {
  Expr x = input(0);
  EXPECT_TRUE(equal(silu(x), silu(input(0))));
  EXPECT_FALSE(equal(silu(x), silu(input(1))));
  EXPECT_FALSE(equal(x - 1, 1 - x));
  EXPECT_FALSE(equal(Expr(0.0), Expr(-0.0)));
  EXPECT_FALSE(equal(Expr(1.0), Expr(1)));
  EXPECT_TRUE(equal(Expr(std::nan("")), Expr(std::nan(""))));
  EXPECT_FALSE(equal(as(Type::F16, x), as(Type::BF16, x)));
  EXPECT_FALSE(equal(product(x, {.parts = {1}}), product(x, {.parts = {2}})));
}

TEST(Expr, PostorderVisitsSharedNodesOnce) {
  Expr doubled = input(0);
  for (int i = 0; i < 60; ++i) {
    doubled = doubled + doubled; // 2^60 places as a tree
  }
  auto order = postorder({doubled, doubled});
  ASSERT_EQ(order.size(), 61u);
  EXPECT_EQ(order.front()->op, Op::Input);
  EXPECT_EQ(order.back(), doubled.get());
}

TEST(Expr, SubstituteKeepsSharing) {
  Expr doubled = input(0);
  for (int i = 0; i < 60; ++i) {
    doubled = doubled + doubled;
  }
  Expr replaced = substitute(doubled, {exp(input(3))});
  EXPECT_EQ(postorder({replaced}).size(), 62u);
  Expr untouched = substitute(exp(Expr(2.0)), {});
  EXPECT_TRUE(equal(untouched, exp(Expr(2.0))));
  EXPECT_TRUE(equal(
      substitute(input(0) - input(1), {input(1), input(0)}),
      input(1) - input(0)));
}

TEST(Expr, SubstituteRenumbersWeights) {
  Expr p = product(input(0), {.parts = {1}});
  EXPECT_TRUE(equal(
      substitute(p, {input(2), input(5)}), product(input(2), {.parts = {5}})));
  EXPECT_THROW(substitute(p, {input(2), Expr(1)}), InternalError);
  EXPECT_THROW(substitute(input(1), {input(0)}), InternalError);
}

TEST(Expr, DeepTreesNeedNoStack) {
  Expr deep = input(0);
  Expr twin = input(0);
  for (int i = 0; i < 100000; ++i) {
    deep = -deep;
    twin = -twin;
  }
  EXPECT_TRUE(equal(deep, twin));
  EXPECT_EQ(postorder({substitute(deep, {input(1)})}).size(), 100001u);
}

Body body_of(Expr value) {
  return {{{"x"}, {"y"}}, {{"out", std::move(value), -1, {}}}};
}

TEST(ContentKey, IsEqualExactlyForEqualBodies) {
  Expr x = input(0);
  Expr s = sigmoid(x);
  std::string shared = content_key(body_of(s + s));
  EXPECT_EQ(shared, content_key(body_of(sigmoid(input(0)) + sigmoid(x))));
  EXPECT_EQ(shared.size(), 32u);
  EXPECT_NE(shared, content_key(body_of(s + sigmoid(input(1)))));
  EXPECT_NE(shared, content_key(body_of(s - s)));
  Body other = body_of(s + s);
  other.outputs[0].fixed = Type::F16;
  EXPECT_NE(shared, content_key(other));
  other = body_of(s + s);
  other.inputs[1].role = Role::Scalar;
  EXPECT_NE(shared, content_key(other));
}

} // namespace
} // namespace zmlx::lang
