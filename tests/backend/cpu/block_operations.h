#pragma once

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "zmlx/backend/cpu/vector.h"

/// What the tests of block operations share.
namespace zmlx::backend::cpu {

inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// With operands of `type`, or of `from`.
inline lang::Instruction instruction(lang::Op op, lang::Type type) {
  return {.op = op, .type = type, .from = type};
}
inline lang::Instruction
instruction(lang::Op op, lang::Type type, lang::Type from) {
  return {.op = op, .type = type, .from = from};
}

/// The operation on these operands, the last of which is the third too. Nothing
/// is written beyond them.
template <typename Out, typename T>
std::vector<Out>
apply(BlockOp op, const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<Out> out(a.size() + 1, Out(77));
  const size_t all = ~size_t{0};
  op({out.data(), {a.data(), b.data(), b.data()}, {all, all, all}, a.size()});
  EXPECT_EQ(out.back(), Out(77)) << "wrote beyond the end";
  out.pop_back();
  return out;
}

/// Distance in units of the last place of the float nearest to `want`.
inline double ulps(float got, double want) {
  const auto nearest = static_cast<float>(want);
  if (std::isnan(want) || std::isnan(got)) {
    return std::isnan(want) == std::isnan(got) ? 0 : 1e9;
  }
  if (std::isinf(nearest) || std::isinf(got)) {
    return nearest == got ? 0
        : std::abs(got) >= 3.4028e38f && std::abs(nearest) >= 3.4028e38f &&
            got * nearest > 0
        ? 1
        : 1e9;
  }
  const float size = std::max(std::abs(nearest), 1.17549435e-38f);
  const double ulp = std::ldexp(1.0, std::ilogb(size) - 23);
  return std::abs(static_cast<double>(got) - want) / ulp;
}

/// Special ones, those evenly drawn from low to high, and those of any size.
inline std::vector<float> numbers(float low, float high) {
  std::vector<float> result = {
      0.0f,     -0.0f,   1.0f,     -1.0f,    0.5f,     -0.5f,   2.5f,    -2.5f,
      1e-30f,   -1e-30f, 1e-42f,   3.4e38f,  -3.4e38f, 88.7f,   88.8f,   -87.4f,
      -103.0f,  -104.5f, 104.5f,   1e-6f,    -1e-6f,   0.9199f, 0.9201f, 4.1f,
      -0.9999f, -0.3f,   39000.5f, 99999.0f, kInf,     -kInf,   kNan};
  std::mt19937 random(7);
  std::uniform_real_distribution<float> linear(low, high);
  std::uniform_real_distribution<float> exponent(-30, 7);
  for (int i = 0; i < 5000; ++i) {
    result.push_back(linear(random));
    const float x = std::exp2(exponent(random));
    result.push_back(i % 2 ? x : -x);
  }
  return result;
}

} // namespace zmlx::backend::cpu
