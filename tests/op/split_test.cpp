// Bodies around a product, in two parts: against MLX's own operations.

#include <gtest/gtest.h>

#include "tests/op/support.h"
#include "zmlx/lang/functions.h"
#include "zmlx/measure/tolerance.h"
#include "zmlx/op/op.h"
#include "zmlx/op/split.h"

namespace zmlx::op {

namespace {

using namespace test;
using Arrays = std::vector<mx::array>;
using Definition = std::function<void(lang::Define&)>;

lang::Body body_of(const Definition& define) {
  return lang::Kernel("test", "", define).body();
}

const Definition kGate = [](lang::Define& k) {
  auto b = k.input("b"), x = k.input("x");
  auto y = lang::product(x, k.weight("w", 0, 0));
  auto s = k.scalar("s");
  k.output_like(lang::silu(y + b) * s, x);
};

const Definition kNorm = [](lang::Define& k) {
  auto x = k.input("x");
  auto y = lang::product(x, k.weight("w", 0, 0));
  auto g = k.input("g"), eps = k.scalar("eps");
  k.output(lang::rms_norm(y, g, eps));
};

mx::array normal(const mx::Shape& shape, uint64_t seed) {
  return mx::random::normal(shape, mx::float32, mx::random::key(seed));
}

TEST(Split, KeepsWhatTheRestReads) {
  const auto split = split_product("test", body_of(kGate), {});
  ASSERT_TRUE(split);
  EXPECT_EQ(split->x, 1);
  EXPECT_EQ(split->w, 2);
  EXPECT_FALSE(split->reduces);
  EXPECT_EQ(split->kept, (std::vector<int>{0, 3}));
  EXPECT_EQ(split->rest->body.inputs.size(), 3u);
  EXPECT_TRUE(split_product("test", body_of(kNorm), {})->reduces);
}

TEST(Split, OnlyOfOneProductOfAnInputThatNothingElseReads) {
  const auto splits = [](const Definition& define) {
    return split_product("test", body_of(define), {}) != nullptr;
  };
  EXPECT_FALSE(splits([](lang::Define& k) { k.output(k.input("x")); }));
  EXPECT_FALSE(splits([](lang::Define& k) { // of what is computed
    k.output(lang::product(exp(k.input("x")), k.weight("w", 0, 0)));
  }));
  EXPECT_FALSE(splits([](lang::Define& k) { // x is read beside its product
    auto x = k.input("x");
    k.output(lang::product(x, k.weight("w", 0, 0)) + x);
  }));
  EXPECT_FALSE(splits([](lang::Define& k) { // two
    auto x = k.input("x");
    auto a = lang::product(x, k.weight("a", 0, 0));
    k.output(a * lang::product(x, k.weight("b", 0, 0)));
  }));
  EXPECT_FALSE(splits([](lang::Define& k) { // packed
    k.output(lang::product(k.input("x"), k.weight("w", 4, 64)));
  }));
}

TEST(Split, RunsWhatHasNoStageWithoutTheReference) {
  const BoundOp ours(make_call("split_norm", body_of(kNorm)));
  const auto x = normal({2, 3, 20}, 1), w = normal({31, 20}, 2),
             g = normal({31}, 3);
  expect_near(
      ours(x, w, g, 1e-5),
      mx::fast::rms_norm(mx::matmul(x, mx::transpose(w)), g, 1e-5f),
      1e-5);
  for (auto type : {mx::float16, mx::bfloat16}) {
    EXPECT_EQ(
        ours(mx::astype(x, type), mx::astype(w, type), mx::astype(g, type), 1.0)
            .dtype(),
        type);
  }
  for (const auto& fallback : fallbacks()) {
    EXPECT_FALSE(fallback.kernel.starts_with("split_norm")) << fallback.reason;
  }
}

TEST(Split, GradientsOfAProductAreKernels) {
  const BoundOp ours(make_call("split_gate", body_of(kGate)));
  const Arrays inputs = {
      normal({31}, 1), normal({2, 3, 20}, 2), normal({31, 20}, 3)};
  const auto c = normal({2, 3, 31}, 4);
  const auto got = mx::vjp(
      [&](const Arrays& in) { return Arrays{ours(in[0], in[1], in[2], 0.5)}; },
      inputs,
      {c});
  const auto want = mx::vjp(
      [&](const Arrays& in) {
        const auto y = mx::matmul(in[1], mx::transpose(in[2])) + in[0];
        return Arrays{y * mx::sigmoid(y) * mx::array(0.5f)};
      },
      inputs,
      {c});
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto result = measure::compare(
        got.second[i], want.second[i], measure::OpClass::product);
    EXPECT_TRUE(result.ok()) << i << ": " << result.to_string();
  }
  for (const auto& fallback : fallbacks()) {
    EXPECT_FALSE(
        fallback.kernel.starts_with("split_gate") &&
        fallback.reason.starts_with("its gradient"))
        << fallback.reason;
  }
}

} // namespace

} // namespace zmlx::op
