// as(input, x): rounding to the type of an input.

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

} // namespace
} // namespace zmlx::lang
