#include "zmlx/base/statistics.h"

#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"

namespace zmlx {
namespace {

// Literals from numpy.quantile (its default, linear).
TEST(Statistics, QuantilesAreNumpys) {
  std::vector<double> v{7, 1, 3, 10, 4};
  EXPECT_DOUBLE_EQ(quantile(v, 0), 1);
  EXPECT_DOUBLE_EQ(quantile(v, 0.1), 1.8);
  EXPECT_DOUBLE_EQ(quantile(v, 0.25), 3);
  EXPECT_DOUBLE_EQ(median(v), 4);
  EXPECT_DOUBLE_EQ(quantile(v, 0.9), 8.8);
  EXPECT_DOUBLE_EQ(quantile(v, 1), 10);
  EXPECT_DOUBLE_EQ(mean(v), 5);
  EXPECT_DOUBLE_EQ(median(std::vector<double>{1, 2}), 1.5);
}

TEST(Statistics, SummaryAndSpread) {
  auto s = summarize(std::vector<double>{1, 2, 3, 4, 5});
  EXPECT_DOUBLE_EQ(s.median, 3);
  EXPECT_DOUBLE_EQ(s.lower_quartile, 2);
  EXPECT_DOUBLE_EQ(s.upper_quartile, 4);
  EXPECT_DOUBLE_EQ(s.min, 1);
  EXPECT_DOUBLE_EQ(s.max, 5);
  EXPECT_DOUBLE_EQ(s.spread(), 2.0 / 3);
}

TEST(Statistics, NothingHasNoFigures) {
  std::vector<double> none;
  EXPECT_THROW(mean(none), InternalError);
  EXPECT_THROW(median(none), InternalError);
  EXPECT_THROW(summarize(none), InternalError);
  EXPECT_THROW(bootstrap_mean_interval(none), InternalError);
  std::vector<double> one{1}, two{1, 2};
  EXPECT_THROW(quantile(one, 1.5), InternalError);
  EXPECT_THROW(quantile(one, std::nan("")), InternalError);
  EXPECT_THROW(bootstrap_ratio_interval(one, two), InternalError);
}

std::vector<double> normal_sample(std::uint64_t seed, std::size_t n) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> draw(5, 2);
  std::vector<double> values(n);
  for (auto& value : values) {
    value = draw(engine);
  }
  return values;
}

TEST(Statistics, MeanIntervalHasTheWidthOfTheStandardError) {
  auto values = normal_sample(1, 400);
  auto interval = bootstrap_mean_interval(values);
  double m = mean(values), variance = 0;
  for (double v : values) {
    variance += (v - m) * (v - m) / (values.size() - 1);
  }
  double expected = 1.96 * std::sqrt(variance / values.size());
  EXPECT_NEAR(interval.upper - m, expected, 0.1 * expected);
  EXPECT_NEAR(m - interval.lower, expected, 0.1 * expected);
}

TEST(Statistics, MeanIntervalCoversTheTruthAsOftenAsItSays) {
  int covered = 0;
  constexpr int trials = 300;
  for (int i = 0; i < trials; ++i) {
    auto interval =
        bootstrap_mean_interval(normal_sample(100 + i, 60), {0.95, 400});
    covered += interval.lower <= 5 && 5 <= interval.upper;
  }
  // 0.95 expected; the deviation of 300 trials is 0.013, and percentile
  // intervals of 60 values run a little narrow.
  EXPECT_GE(covered, 0.90 * trials);
  EXPECT_LE(covered, 0.99 * trials);
}

TEST(Statistics, LowerBoundIsOneSided) {
  auto values = normal_sample(2, 400);
  double one_sided = bootstrap_mean_lower_bound(values);
  auto two_sided = bootstrap_mean_interval(values, {.level = 0.90});
  EXPECT_DOUBLE_EQ(one_sided, two_sided.lower);
  EXPECT_LT(bootstrap_mean_interval(values).lower, one_sided);
}

TEST(Statistics, OneSeedOneInterval) {
  auto values = normal_sample(3, 50);
  auto a = bootstrap_mean_interval(values);
  auto b = bootstrap_mean_interval(values);
  auto c = bootstrap_mean_interval(values, {.seed = 1});
  EXPECT_EQ(a.lower, b.lower);
  EXPECT_EQ(a.upper, b.upper);
  EXPECT_NE(a.lower, c.lower);
}

TEST(Statistics, PairingCancelsWhatBothShare) {
  // Both runs slow down and speed up together by a factor of 4.
  auto noise = normal_sample(4, 41);
  std::vector<double> a, b;
  for (double n : noise) {
    double drift = std::exp(0.35 * (n - 5));
    a.push_back(2 * drift);
    b.push_back(drift);
  }
  auto ratio = bootstrap_ratio_interval(a, b);
  EXPECT_NEAR(ratio.lower, 2, 1e-12);
  EXPECT_NEAR(ratio.upper, 2, 1e-12);
}

} // namespace
} // namespace zmlx
