#include "zmlx/nn/fast.h"

#include <thread>

#include <gtest/gtest.h>

namespace zmlx::nn {
namespace {

mx::array sample(const mx::Shape& shape) {
  return mx::random::normal(shape, mx::random::key(7));
}

bool same(const mx::array& a, const mx::array& b) {
  return mx::array_equal(a, b).item<bool>();
}

FastOps norms_that_return(float value) {
  FastOps ops = fast();
  ops.rms_norm = [value](const auto& x, const auto&, float) {
    return mx::full(x.shape(), value);
  };
  return ops;
}

float norm_of_ones() {
  return mx::mean(fast().rms_norm(mx::ones({4}), std::nullopt, 0))
      .item<float>();
}

TEST(FastOps, DefaultIsMlx) {
  auto x = sample({1, 4, 8, 64});
  auto weight = sample({64});
  EXPECT_TRUE(same(
      fast().rms_norm(x, weight, 1e-5f), mx::fast::rms_norm(x, weight, 1e-5f)));
  EXPECT_TRUE(same(
      fast().layer_norm(x, weight, weight, 1e-5f),
      mx::fast::layer_norm(x, weight, weight, 1e-5f)));
  EXPECT_TRUE(same(
      fast().rope(x, 64, true, 1e4f, 1, 3, std::nullopt),
      mx::fast::rope(x, 64, true, 1e4f, 1, 3)));
  EXPECT_TRUE(same(
      fast().rope(x, 64, false, 1e4f, 1, mx::array(3), std::nullopt),
      mx::fast::rope(x, 64, false, 1e4f, 1, 3)));
  EXPECT_TRUE(same(
      fast().attention(x, x, x, 0.5f, "causal", std::nullopt),
      mx::fast::scaled_dot_product_attention(x, x, x, 0.5f, "causal")));
  auto packed = mx::quantize(sample({8, 64}), 32, 8);
  EXPECT_TRUE(same(
      fast().dequantize(packed[0], packed[1], packed[2], 32, 8, "affine"),
      mx::dequantize(packed[0], packed[1], packed[2], 32, 8)));
}

TEST(FastOps, ScopesNest) {
  EXPECT_FLOAT_EQ(norm_of_ones(), 1);
  {
    ScopedFastOps outer(norms_that_return(2));
    EXPECT_FLOAT_EQ(norm_of_ones(), 2);
    {
      ScopedFastOps inner(norms_that_return(3));
      EXPECT_FLOAT_EQ(norm_of_ones(), 3);
    }
    EXPECT_FLOAT_EQ(norm_of_ones(), 2);
  }
  EXPECT_FLOAT_EQ(norm_of_ones(), 1);
}

TEST(FastOps, ScopeIsOfItsThread) {
  ScopedFastOps here(norms_that_return(2));
  const FastOps* there = nullptr;
  std::thread([&] { there = &fast(); }).join();
  EXPECT_NE(there, &fast());
}

} // namespace
} // namespace zmlx::nn
