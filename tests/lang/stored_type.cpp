// as(input, x): rounding to the type of an input; and gradients over rows of an
// input's own.

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"
#include "zmlx/lang/derive.h"
#include "zmlx/lang/functions.h"
#include "zmlx/lang/lower.h"
#include "zmlx/lang/parse.h"
#include "zmlx/lang/print.h"

namespace zmlx::lang {
namespace {

const std::vector<Input> kInputs = formula_inputs({"x", "y"}, {});
const Expr x = input(0);
const Expr y = input(1);

Body rounded() {
  return {kInputs, {{"out", as(y, exp(x) + y), 0, {}}}};
}

int roundings(const Body& body, Type type_of_y) {
  const auto program = lower(body, {Type::F32, type_of_y}, nullptr);
  int count = 0;
  for (const auto& it : program->row.passes.at(0).code) {
    if (it.op == Op::As) {
      EXPECT_EQ(it.rounded, type_of_y);
      ++count;
    }
  }
  return count;
}

TEST(AsInput, RoundsToTheTypeThatTheInputHas) {
  EXPECT_EQ(roundings(rounded(), Type::BF16), 1);
  EXPECT_EQ(roundings(rounded(), Type::F16), 1);
  EXPECT_EQ(roundings(rounded(), Type::F32), 0);
  EXPECT_THROW(as(exp(x), y), InternalError);
}

TEST(AsInput, IsWrittenWithTheNameOfTheInput) {
  EXPECT_EQ(print(rounded()), "as(y, exp(x) + y)");
  const Body read = parse(print(rounded()), kInputs);
  EXPECT_TRUE(equal(read.outputs[0].value, rounded().outputs[0].value));
  EXPECT_FALSE(equal(as(x, exp(x)), as(y, exp(x))));
  // Only an input has a type that is stored.
  EXPECT_THROW(parse("let z = x + y; as(z, x)", kInputs), UserError);
}

TEST(AsInput, FollowsTheInputWhereThatIsReplaced) {
  const Expr tree = as(y, x);
  EXPECT_TRUE(equal(substitute(tree, {y, x}), as(x, y)));
  // What stands for a stored value says the type it was stored in.
  const Expr stored = cast(Type::F16, as(Type::F16, exp(x)));
  EXPECT_TRUE(equal(substitute(tree, {x, stored}), as(Type::F16, x)));
  EXPECT_THROW(substitute(tree, {x, exp(x)}), InternalError);
}

TEST(AsInput, PassesItsCotangentOn) {
  const Body body{kInputs, {{"out", as(x, x) * y, -1, {}}}};
  const auto gradient = derive(body, {0}, nullptr);
  ASSERT_TRUE(gradient);
  EXPECT_TRUE(equal(gradient->outputs[0].value, input(2) * y));
}

// out = a b, where row x is a and then b.
Body product_of_halves(Role role_of_w) {
  Kernel kernel("halves", "", [&](Define& k) {
    auto row = k.input("row", Role::Row), w = k.input("w", role_of_w);
    k.width(row, 1, 2);
    k.output(pick(row, index()) * pick(row, index() + width()) * w);
    const auto half = width() / 2;
    const auto other = pick(row, (index() + half) % width());
    const auto at = index() % half;
    const auto weight = role_of_w == Role::Element ? pick(w, at) : w;
    k.row_gradient(row, pick(k.cotangent(), at) * other * weight);
  });
  return kernel.body();
}

TEST(RowGradient, StandsOnRowsOfTheInput) {
  const Body body = product_of_halves(Role::Element);
  EXPECT_EQ(infer_shapes(body, {{3, 8}, {4}})[0], (Shape{3, 4}));
  const auto gradient = derive(body, {0}, nullptr);
  ASSERT_TRUE(gradient);
  EXPECT_EQ(gradient->inputs, turned_over(with_cotangents(body)));
  EXPECT_EQ(gradient->inputs[0].role, Role::Element);
  EXPECT_EQ(gradient->inputs[1].role, Role::Row);
  EXPECT_EQ(gradient->inputs[2].role, Role::Row);
  EXPECT_EQ(infer_shapes(*gradient, {{3, 8}, {4}, {3, 4}})[0], (Shape{3, 8}));
  std::string why;
  EXPECT_TRUE(lower(*gradient, {Type::F32, Type::F32, Type::F32}, &why)) << why;
}

TEST(RowGradient, IsNotOneKernelWithGradientsOfOtherRows) {
  std::string why;
  EXPECT_FALSE(derive(product_of_halves(Role::Element), {0, 1}, &why));
  EXPECT_EQ(why, "gradients over rows of different inputs");
  EXPECT_TRUE(derive(product_of_halves(Role::Element), {1}, &why));
}

TEST(RowGradient, LeavesScalarsAsTheyAre) {
  const auto gradient = derive(product_of_halves(Role::Scalar), {0}, nullptr);
  ASSERT_TRUE(gradient);
  EXPECT_EQ(gradient->inputs[1].role, Role::Scalar);
}

} // namespace
} // namespace zmlx::lang
