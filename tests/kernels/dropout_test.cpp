// Dropout against Philox4x32-10 written down here, and the gradients that
// follow from its mask.

#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "tests/kernels/oracle.h"
#include "tests/op/support.h"
#include "zmlx/kernels/dropout.h"

namespace zmlx::kernels {

namespace {

using namespace test;
using op::test::expect_near;
using op::test::expect_same_bits;
using op::test::values;

using Words = std::array<uint32_t, 4>;

// Salmon et al., 2011.
Words philox(Words counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {
        static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key0,
        static_cast<uint32_t>(b),
        static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key1,
        static_cast<uint32_t>(a)};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return counter;
}

// 1 where element i of `shape` is kept.
mx::array kept(const mx::Shape& shape, float p, uint64_t seed) {
  std::vector<float> mask;
  size_t size = 1;
  for (int n : shape) {
    size *= n;
  }
  for (size_t i = 0; i < size; ++i) {
    const auto words = philox(
        {static_cast<uint32_t>(i / 4), 0, 0, 0},
        static_cast<uint32_t>(seed),
        static_cast<uint32_t>(seed >> 32));
    mask.push_back((words[i % 4] >> 8) * 0x1p-24f >= p ? 1.f : 0.f);
  }
  return mx::array(mask.data(), shape);
}

mx::array normal(const mx::Shape& shape, uint64_t seed) {
  return mx::random::normal(shape, mx::float32, mx::random::key(seed));
}

TEST(Dropout, ThePhiloxOfThisTestIsTheOneOfItsAuthors) {
  // Their known answer for a counter and a key of 0.
  EXPECT_EQ(
      philox({0, 0, 0, 0}, 0, 0),
      (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
}

TEST(Dropout, KeepsWhatPhiloxChoosesAndDividesIt) {
  const mx::Shape shape = {7, 33};
  const auto x = normal(shape, 1);
  for (uint64_t seed : {uint64_t{0}, uint64_t{7}, uint64_t{1} << 40}) {
    for (float p : {0.f, 0.25f, 0.9f}) {
      const auto want =
          mx::multiply(x, kept(shape, p, seed)) / mx::array(1.f - p);
      expect_same_bits(mx::abs(dropout(x, p, mx::array(seed))), mx::abs(want));
    }
  }
}

TEST(Dropout, TheMaskDependsOnNumbersOfElementsAlone) {
  const auto x = mx::ones({6, 10}), seed = mx::array(uint64_t{5});
  const auto want = dropout(x, 0.5, seed);
  const auto turned = mx::transpose(mx::contiguous(mx::transpose(x)));
  expect_same_bits(dropout(turned, 0.5, seed), want);
  expect_same_bits(
      dropout(mx::broadcast_to(mx::array(1.f), {6, 10}), 0.5, seed), want);
  expect_same_bits(
      mx::reshape(dropout(mx::flatten(x), 0.5, seed), {6, 10}), want);
  EXPECT_FALSE(mx::array_equal(dropout(x, 0.5, mx::array(uint64_t{6})), want)
                   .item<bool>());
}

TEST(Dropout, TheGradientHasTheSameMask) {
  const mx::Shape shape = {5, 19};
  const auto x = normal(shape, 1), c = normal(shape, 2);
  const float p = 0.4f;
  const auto got = mx::vjp(
      [&](const Arrays& in) {
        return Arrays{dropout(in[0], in[1], mx::array(uint64_t{3}))};
      },
      {x, mx::array(p)},
      {c});
  const auto mask = kept(shape, p, 3);
  const auto dx = c * mask / mx::array(1 - p);
  expect_near(got.second[0], dx, 1e-6);
  expect_near(got.second[1], mx::sum(dx * x / mx::array(1 - p)), 1e-5);
}

TEST(Dropout, NothingIsLeftOfAllAndNothingIsLost) {
  const auto x = mx::array({1.f, -2.f, INFINITY, NAN});
  const auto seed = mx::array(uint64_t{1});
  EXPECT_EQ(values(dropout(x, 1.0, seed)), (std::vector<double>{0, 0, 0, 0}));
  expect_same_bits(dropout(x, 0.0, seed), x);
  const auto gradient = mx::vjp(
      [&](const Arrays& in) { return Arrays{dropout(in[0], 1.0, seed)}; },
      {x},
      {mx::ones_like(x)});
  EXPECT_EQ(values(gradient.second[0]), (std::vector<double>{0, 0, 0, 0}));
}

// The dropout of what a norm gives, in float64.
template <typename Norm>
void expect_norm_dropout(
    const op::Op& kernel,
    const Arrays& weights,
    Norm norm) {
  const mx::Shape shape = {4, 21};
  const auto c = normal(shape, 9);
  const float p = 0.3f;
  const auto mask = in_float64({kept(shape, p, 11)})[0];
  Arrays inputs = {normal(shape, 1)};
  inputs.insert(inputs.end(), weights.begin(), weights.end());
  const auto ours = mx::vjp(
      [&](const Arrays& in) {
        std::vector<op::Operand> operands(in.begin(), in.end());
        operands.insert(operands.end(), {1e-5, p, mx::array(uint64_t{11})});
        return kernel.all(operands);
      },
      inputs,
      {c});
  const auto want = mx::vjp(
      [&](const Arrays& in) {
        return Arrays{norm(in) * mask / mx::array(1.0 - p, mx::float64)};
      },
      in_float64(inputs),
      in_float64({c}));
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto result =
        measure::compare(ours.second[i], want.second[i], measure::OpClass::row);
    EXPECT_TRUE(result.ok()) << i << ": " << result.to_string();
  }
  const auto result =
      measure::compare(ours.first[0], want.first[0], measure::OpClass::row);
  EXPECT_TRUE(result.ok()) << result.to_string();
}

TEST(Dropout, OfNorms) {
  const auto w = normal({21}, 2), b = normal({21}, 3);
  const mx::array eps(double{1e-5f}, mx::float64);
  expect_norm_dropout(rms_norm_dropout, {w}, [&](const Arrays& in) {
    const auto mean = mx::mean(mx::square(in[0]), -1, true);
    return in[0] / mx::sqrt(mean + eps) * in[1];
  });
  expect_norm_dropout(layer_norm_dropout, {w, b}, [&](const Arrays& in) {
    const auto d = in[0] - mx::mean(in[0], -1, true);
    const auto variance = mx::mean(mx::square(d), -1, true);
    return d / mx::sqrt(variance + eps) * in[1] + in[2];
  });
}

TEST(Dropout, MlxsOwnKeepsTheSameShare) {
  const auto x = mx::ones({100, 100});
  const auto theirs =
      dropout.mlx()({x, mx::array(0.25f), mx::array(uint64_t{1})}, {});
  EXPECT_EQ(theirs[0].shape(), x.shape());
  EXPECT_NEAR(mx::mean(theirs[0]).item<float>(), 1, 0.05);
  EXPECT_NEAR(
      mx::mean(dropout(x, 0.25, mx::array(uint64_t{1}))).item<float>(),
      1,
      0.05);
}

} // namespace

} // namespace zmlx::kernels
