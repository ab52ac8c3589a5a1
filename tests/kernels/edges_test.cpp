// Where formulas have kinks, rows are masked or ignored, and types are mixed.

#include <gtest/gtest.h>

#include <limits>

#include "tests/kernels/oracle.h"
#include "tests/op/support.h"
#include "zmlx/base/errors.h"
#include "zmlx/kernels/activations.h"
#include "zmlx/kernels/loss.h"
#include "zmlx/kernels/norms.h"
#include "zmlx/kernels/optimizers.h"
#include "zmlx/kernels/softmax.h"
#include "zmlx/kernels/transformer.h"

namespace zmlx::kernels {

namespace {

using namespace test;
using op::test::expect_near;
using op::test::expect_same_bits;
using op::test::values;

const float kInf = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

mx::array normal(const mx::Shape& shape, uint64_t seed) {
  return mx::random::normal(shape, mx::float32, mx::random::key(seed));
}

template <typename Function>
mx::array gradient(Function f, const mx::array& x) {
  const auto y = f(x);
  return mx::vjp(
             [&](const Arrays& in) { return Arrays{f(in[0])}; },
             {x},
             {mx::ones_like(y)})
      .second[0];
}

TEST(Activations, GradientsWherePartsHaveKinks) {
  const mx::array x({-100.f, 0.f, 100.f});
  expect_near(
      gradient([](const mx::array& a) { return softplus(a); }, x),
      mx::array({0.f, 0.5f, 1.f}),
      1e-6);
  expect_near(
      gradient([](const mx::array& a) { return elu(a, 2.0); }, x),
      mx::array({0.f, 2.f, 1.f}),
      1e-6);
  expect_near(
      gradient([](const mx::array& a) { return mish(a); }, x),
      mx::array({0.f, 0.6f, 1.f}),
      1e-6);
}

TEST(Softmax, WhatIsMaskedHasNoPart) {
  const mx::array x({1.f, kNan, 2.f, kInf, 3.f, kNan, -kInf, 1.f, 0.f}, {3, 3});
  const mx::array mask(
      {true, false, true, false, true, false, false, false, false}, {3, 3});
  const double e = std::exp(1);
  const mx::array want(
      {float(1 / (1 + e)),
       0.f,
       float(e / (1 + e)),
       0.f,
       1.f,
       0.f,
       0.f,
       0.f,
       0.f},
      {3, 3});
  expect_near(masked_softmax(x, mask), want, 1e-6);
  expect_near(scale_mask_softmax(x, mask, 1.0), want, 1e-6);
  const auto c = normal({3, 3}, 1);
  const auto got = mx::vjp(
      [&](const Arrays& in) {
        return Arrays{scale_mask_softmax(in[0], mask, in[1])};
      },
      {x, mx::array(1.f)},
      {c});
  const auto g = values(got.second[0]);
  const auto cs = values(c);
  const double share = e / (1 + e) / (1 + e) * (cs[0] - cs[2]);
  const std::vector<double> expected = {share, 0, -share, 0, 0, 0, 0, 0, 0};
  for (size_t i = 0; i < g.size(); ++i) {
    EXPECT_NEAR(g[i], expected[i], 1e-6) << i;
  }
  EXPECT_NEAR(values(got.second[1])[0], share * 1 - share * 2, 1e-5);
}

TEST(Softmax, ARowOfMinusInfinityUnderAMaskIsAsMlx) {
  const mx::array x({-kInf, -kInf, 1.f}, {1, 3});
  const mx::array mask({true, true, false}, {1, 3});
  const auto got = values(masked_softmax(x, mask));
  EXPECT_TRUE(std::isnan(got[0]) && std::isnan(got[1]));
  EXPECT_EQ(got[2], 0);
}

TEST(CrossEntropy, IgnoredRowsHaveNoLossAndNoGradient) {
  const mx::array logits(
      {1.f, 2.f, 3.f, kNan, kInf, 0.f, -kInf, -kInf, -kInf}, {3, 3});
  const mx::array targets({2, -100, -100});
  const auto loss = softmax_cross_entropy.with({{"ignore_index", -100}});
  const auto got = values(loss(logits, targets));
  EXPECT_NEAR(got[0], 0.4076059644, 1e-6);
  EXPECT_EQ(got[1], 0);
  EXPECT_EQ(got[2], 0);
  const auto g = values(
      gradient([&](const mx::array& a) { return loss(a, targets); }, logits));
  EXPECT_NEAR(g[2], -0.3347591, 1e-6);
  for (size_t i = 3; i < g.size(); ++i) {
    EXPECT_EQ(g[i], 0) << i;
  }
}

TEST(CrossEntropy, LargeLogitsCancel) {
  const mx::array logits({30000.f, 30001.f, 29000.f}, {1, 3});
  for (auto type : {mx::int32, mx::uint32, mx::int64}) {
    const auto got =
        softmax_cross_entropy(logits, mx::astype(mx::array({0}), type));
    EXPECT_EQ(got.dtype(), mx::float32);
    EXPECT_EQ(got.shape(), mx::Shape{1});
    EXPECT_NEAR(values(got)[0], std::log1p(std::exp(1)), 1e-6);
  }
  EXPECT_EQ(
      softmax_cross_entropy(mx::astype(logits, mx::bfloat16), mx::array({0}))
          .dtype(),
      mx::float32);
}

TEST(Norms, ReadTheSumAsItIsStored) {
  for (auto type : {mx::float16, mx::bfloat16}) {
    const auto x = mx::astype(normal({4, 100}, 1), type);
    const auto r = mx::astype(normal({4, 100}, 2), type);
    const auto w = mx::astype(normal({100}, 3), type);
    const auto b = mx::astype(normal({100}, 4), type);
    const auto rms = add_rms_norm.all({x, r, w, 1e-5});
    expect_same_bits(rms[1], mx::add(x, r));
    expect_same_bits(rms[0], rmsnorm(rms[1], w, 1e-5));
    const auto layer = fused_add_layernorm.all({x, r, w, b, 1e-5});
    expect_same_bits(layer[1], mx::add(x, r));
    expect_same_bits(layer[0], layernorm(layer[1], w, b, 1e-5));
  }
}

TEST(Adamw, MomentsOfFloat32BesideNarrowParameters) {
  const mx::Shape shape = {3, 50};
  auto p = mx::astype(normal(shape, 1), mx::bfloat16);
  auto m = mx::zeros(shape), v = mx::zeros(shape);
  auto p64 = in_float64({p})[0];
  auto m64 = in_float64({m})[0], v64 = m64;
  const auto one = mx::array(1.0, mx::float64);
  const auto n = [](float value) { return mx::array(value, mx::float64); };
  for (int step = 1; step <= 5; ++step) {
    const auto g = mx::astype(normal(shape, 10 + step), mx::bfloat16);
    const auto next =
        adamw_step.all({p, g, m, v, 0.01, step, 0.9, 0.999, 1e-8, 0.1});
    const auto g64 = in_float64({g})[0];
    m64 = n(0.9) * m64 + (one - n(0.9)) * g64;
    v64 = n(0.999) * v64 + (one - n(0.999)) * mx::square(g64);
    const auto mean = m64 / (one - mx::power(n(0.9), n(step)));
    const auto deviation = mx::sqrt(v64 / (one - mx::power(n(0.999), n(step))));
    p64 = p64 - n(0.01) * (mean / (deviation + n(1e-8)) + n(0.1) * p64);
    EXPECT_EQ(next[0].dtype(), mx::bfloat16);
    EXPECT_EQ(next[1].dtype(), mx::float32);
    const Arrays want = {p64, m64, v64};
    for (int i = 0; i < 3; ++i) {
      const auto result =
          measure::compare(next[i], want[i], measure::OpClass::map);
      EXPECT_TRUE(result.ok()) << step << ", " << i << result.to_string();
    }
    p = next[0], m = next[1], v = next[2];
    p64 = in_float64({p})[0]; // what the next step reads
  }
}

TEST(Gates, OddRowsAreRefused) {
  EXPECT_THROW(swiglu(mx::ones({2, 5})), UserError);
}

// The gradient of a gradient is the reference's where it is no kernel.
TEST(Gradients, OfGradients) {
  const auto x = normal({3, 8}, 1);
  const auto twice = [&](auto f) {
    return gradient(
        [&](const mx::array& a) { return mx::square(gradient(f, a)); }, x);
  };
  const auto gate = [](const mx::array& a) {
    const auto parts = mx::split(a, 2, -1);
    return parts[0] * mx::sigmoid(parts[0]) * parts[1];
  };
  expect_near(
      twice([](const mx::array& a) { return swiglu(a); }), twice(gate), 1e-5);
  const auto ours = [](const mx::array& a) {
    return mx::square(softmax_lastdim(a));
  };
  const auto theirs = [](const mx::array& a) {
    return mx::square(mx::softmax(a, -1));
  };
  expect_near(twice(ours), twice(theirs), 1e-5);
}

// Nothing to compute is no error, forward or backward.
TEST(Gradients, OfEmptyArrays) {
  for (const auto* kernel : std::initializer_list<const op::Op*>{
           &softmax_lastdim, &rms_norm_no_weight, &swiglu, &masked_softmax}) {
    SCOPED_TRACE(kernel->name());
    const auto defined = kernel->define();
    const auto& c = defined.listed_cases()[0];
    const auto inputs = inputs_of(defined, c, mx::float32);
    const auto got = gradient(
        [&](const mx::array& x) {
          auto all = inputs;
          all[0] = x;
          return kernel->all({all.begin(), all.end()})[0];
        },
        inputs[0]);
    EXPECT_EQ(got.shape(), inputs[0].shape());
  }
}

} // namespace

} // namespace zmlx::kernels
