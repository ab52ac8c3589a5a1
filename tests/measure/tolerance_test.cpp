#include "zmlx/measure/tolerance.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"

namespace zmlx::measure {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

mx::array doubles(std::vector<double> values) {
  auto host =
      mx::array(values.begin(), {static_cast<int>(values.size())}, mx::float64);
  return host;
}

mx::array stored(std::vector<double> values, mx::Dtype dtype) {
  return mx::astype(doubles(values), dtype, mx::Device::cpu);
}

TEST(Tolerance, RoundingOnceAlwaysPasses) {
  for (auto dtype : {mx::float32, mx::float16, mx::bfloat16}) {
    std::vector<double> values;
    for (int i = 1; i < 4000; ++i) {
      values.push_back(std::sin(i) * std::exp(i % 9));
    }
    auto result = compare(stored(values, dtype), doubles(values), OpClass::map);
    EXPECT_TRUE(result.ok()) << result.to_string();
    EXPECT_GT(result.worst, 0);
  }
}

TEST(Tolerance, TwoUnitsInTheLastPlaceOfHalfTypesFail) {
  // 1 + 2 ulp: what a value computed or summed in the half type may be off by.
  auto off16 = compare(
      stored({1 + std::ldexp(1, -9)}, mx::float16), doubles({1}), OpClass::map);
  EXPECT_FALSE(off16.ok());
  auto off_bf16 = compare(
      stored({1 + std::ldexp(1, -6)}, mx::bfloat16),
      doubles({1}),
      OpClass::map);
  EXPECT_FALSE(off_bf16.ok());
  auto off32 = compare(
      stored({1 + std::ldexp(1, -17)}, mx::float32),
      doubles({1}),
      OpClass::map);
  EXPECT_FALSE(off32.ok());
}

TEST(Tolerance, TheTableWidensWithTheWork) {
  for (auto dtype : {mx::float64, mx::float32, mx::float16, mx::bfloat16}) {
    auto map = tolerance(dtype, OpClass::map);
    auto row = tolerance(dtype, OpClass::row);
    auto product = tolerance(dtype, OpClass::product);
    EXPECT_EQ(tolerance(dtype, OpClass::exact).relative, 0);
    EXPECT_GT(map.relative, 0);
    EXPECT_LE(map.relative, row.relative);
    EXPECT_LE(row.relative, product.relative);
    EXPECT_LE(map.absolute, row.absolute);
    EXPECT_LE(row.absolute, product.absolute);
  }
  EXPECT_EQ(tolerance(mx::bfloat16, OpClass::map).relative, 1.0 / 128);
}

TEST(Tolerance, IntegersAreExactAndComplexIsRefused) {
  EXPECT_EQ(tolerance(mx::int32, OpClass::product).relative, 0);
  EXPECT_FALSE(
      compare(mx::array({1, 3}), mx::array({1, 2}), OpClass::product).ok());
  EXPECT_THROW(tolerance(mx::complex64, OpClass::map), UserError);
}

TEST(Tolerance, NanIsEqualToNanAlone) {
  EXPECT_TRUE(compare(doubles({nan}), doubles({nan}), OpClass::map).ok());
  EXPECT_FALSE(compare(doubles({nan}), doubles({1}), OpClass::map).ok());
  EXPECT_FALSE(compare(doubles({1}), doubles({nan}), OpClass::map).ok());
  EXPECT_FALSE(compare(doubles({nan}), doubles({inf}), OpClass::exact).ok());
}

TEST(Tolerance, InfinityIsWhatRoundsToIt) {
  auto f16 = [](double got, double want) {
    return compare(stored({got}, mx::float16), doubles({want}), OpClass::map)
        .ok();
  };
  EXPECT_TRUE(f16(inf, inf));
  EXPECT_TRUE(f16(inf, 1e30)); // beyond the type
  EXPECT_TRUE(f16(inf, 65520)); // rounds to infinity
  EXPECT_FALSE(f16(inf, 60000));
  EXPECT_FALSE(f16(inf, -inf));
  EXPECT_FALSE(f16(60000, inf));
  EXPECT_FALSE(f16(0, inf));
}

TEST(Tolerance, CancellingSumsAreMeasuredAgainstTheirRow) {
  auto got = stored({1000, 1e-3}, mx::float32);
  auto want = doubles({1000, 0});
  EXPECT_TRUE(compare(got, want, OpClass::row).ok());
  EXPECT_FALSE(compare(got, want, OpClass::map).ok());
  EXPECT_FALSE(compare(got, want, OpClass::row, 1.0).ok());
}

TEST(Tolerance, ReportsTheWorst) {
  auto result =
      compare(doubles({1, 2, 3, 4}), doubles({1, 2.5, 3, 4.1}), OpClass::map);
  EXPECT_EQ(result.mismatches, 2u);
  EXPECT_EQ(result.worst_index, 1u);
  EXPECT_NE(
      result.to_string().find(
          "2 of 4 differ; worst at 1: got 2, expected 2.5 ("),
      std::string::npos);
}

TEST(Tolerance, ReadsViewsInRowMajorOrder) {
  auto a = mx::reshape(mx::arange(12, mx::float32), {3, 4});
  auto result = compare(
      mx::transpose(a),
      mx::reshape(doubles({0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}), {4, 3}),
      OpClass::exact);
  EXPECT_TRUE(result.ok()) << result.to_string();
}

TEST(Tolerance, ShapesMustAgreeAndNothingIsEqual) {
  EXPECT_THROW(
      compare(mx::zeros({2, 3}), mx::zeros({3, 2}), OpClass::map), UserError);
  EXPECT_TRUE(compare(mx::zeros({0, 3}), mx::zeros({0, 3}), OpClass::row).ok());
}

} // namespace
} // namespace zmlx::measure
