// sin and cos of blocks on every instruction set, against float64.
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "tests/backend/cpu/block_operations.h"
#include "tests/backend/cpu/targets.h"
#include "zmlx/backend/cpu/sine_table.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Op;
using lang::Type;

std::vector<float> apply_one(Op op, const std::vector<float>& x) {
  const auto run = find_operation(instruction(op, Type::F32));
  return apply<float>(run, x, x);
}

double meaning(Op op, double x) {
  return op == Op::Sin ? std::sin(x) : std::cos(x);
}

void expect_near(const std::vector<float>& x, double most) {
  for (Op op : {Op::Sin, Op::Cos}) {
    const auto y = apply_one(op, x);
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_LE(ulps(y[i], meaning(op, x[i])), most)
          << lang::name_of(op) << "(" << x[i] << ") = " << y[i];
      ASSERT_LE(std::abs(y[i]), 1) << lang::name_of(op) << " of " << x[i];
    }
  }
}

// From `low` on, every so many floats, of both signs.
std::vector<float> every(uint32_t step, float low, float high) {
  std::vector<float> result;
  const auto end = std::bit_cast<uint32_t>(high);
  for (auto k = std::bit_cast<uint32_t>(low); k <= end; k += step) {
    const auto x = std::bit_cast<float>(k);
    result.push_back(x);
    result.push_back(-x);
  }
  return result;
}

TEST(BlockSine, FloatsOfAnySize) {
  for_each_target([] { // that none of the steps divides another
    expect_near(every(9973, 1e-45f, 1e-4f), 1);
    expect_near(every(997, 1e-4f, kSineLimit), 1.75);
    expect_near(every(99991, kSineLimit, 3.4e38f), 1);
  });
}

// The reduction loses most where little is left.
TEST(BlockSine, FloatsNearMultiplesOfQuarters) {
  std::vector<float> x;
  const double quarter = std::acos(0.0);
  for (int n = 1; n * quarter < 2 * kSineLimit; n += n < 20000 ? 1 : 7) {
    const auto near = static_cast<float>(n * quarter);
    const float other = std::nextafter(near, n * quarter > near ? 1e9f : 0.0f);
    x.insert(x.end(), {near, other, -near, -other});
    const auto half = static_cast<float>((n - 0.5) * quarter);
    x.insert(x.end(), {half, std::nextafter(half, 0.0f), -half});
  }
  for_each_target([&] { expect_near(x, 1.75); });
}

TEST(BlockSine, FloatsAtTheLimit) {
  std::vector<float> x;
  float at = kSineLimit;
  for (int k = 0; k < 60; ++k) {
    x.insert(x.end(), {at, -at});
    at = std::nextafter(at, k < 20 ? 0.0f : 1e9f);
  }
  for_each_target([&] { expect_near(x, 1.75); });
}

TEST(BlockSine, SpecialValues) {
  for_each_target([] {
    const auto sines = apply_one(
        Op::Sin, {0.0f, -0.0f, 1e-45f, -1e-45f, kInf, -kInf, kNan, 1e-20f});
    EXPECT_TRUE(sines[0] == 0 && !std::signbit(sines[0]));
    EXPECT_TRUE(sines[1] == 0 && std::signbit(sines[1]));
    EXPECT_EQ(sines[2], 1e-45f);
    EXPECT_EQ(sines[3], -1e-45f);
    EXPECT_TRUE(std::isnan(sines[4]) && std::isnan(sines[5]));
    EXPECT_TRUE(std::isnan(sines[6]));
    EXPECT_EQ(sines[7], 1e-20f);
    const auto cosines =
        apply_one(Op::Cos, {0.0f, -0.0f, 1e-45f, 1e-9f, kInf, -kInf, kNan});
    for (int k = 0; k < 4; ++k) {
      EXPECT_EQ(cosines[k], 1.0f) << k;
    }
    for (int k = 4; k < 7; ++k) {
      EXPECT_TRUE(std::isnan(cosines[k])) << k;
    }
  });
}

// What is odd or even is so to the bit.
TEST(BlockSine, Symmetry) {
  const auto x = every(9973, 1e-4f, kSineLimit);
  for_each_target([&] {
    const auto s = apply_one(Op::Sin, x), c = apply_one(Op::Cos, x);
    for (size_t i = 0; i < x.size(); i += 2) {
      ASSERT_EQ(s[i], -s[i + 1]) << x[i];
      ASSERT_EQ(c[i], c[i + 1]) << x[i];
    }
  });
}

} // namespace
} // namespace zmlx::backend::cpu
