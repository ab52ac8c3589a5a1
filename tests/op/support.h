#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include <mlx/mlx.h>

namespace zmlx::op::test {

namespace mx = mlx::core;

/// Evaluated, in row-major order, as doubles.
inline std::vector<double> values(const mx::array& a) {
  auto dense = mx::contiguous(
      mx::astype(a, mx::float64, mx::Device::cpu), false, mx::Device::cpu);
  dense.eval();
  return {dense.data<double>(), dense.data<double>() + dense.size()};
}

inline void
expect_near(const mx::array& got, const mx::array& want, double tolerance) {
  ASSERT_EQ(got.shape(), want.shape());
  const auto g = values(got), w = values(want);
  for (size_t i = 0; i < g.size(); ++i) {
    if (std::isnan(w[i])) {
      EXPECT_TRUE(std::isnan(g[i])) << "at " << i << ": got " << g[i];
    } else {
      ASSERT_NEAR(g[i], w[i], tolerance * (1 + std::abs(w[i]))) << "at " << i;
    }
  }
}

inline void expect_same_bits(const mx::array& got, const mx::array& want) {
  ASSERT_EQ(got.dtype(), want.dtype());
  ASSERT_EQ(got.shape(), want.shape());
  ASSERT_TRUE(mx::array_equal(got, want, true).item<bool>());
}

} // namespace zmlx::op::test
