#include "zmlx/measure/verdict.h"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"

namespace zmlx::measure {
namespace {

// Positions with one KL and all tokens right, except where a test says so.
struct Observed {
  explicit Observed(std::size_t n, double kl = 1e-3)
      : kl_u(n, kl), kl_p(n, kl), top_u(n, 1), top_p(n, 1) {}

  Judgement judged(std::size_t equal = 199, std::size_t total = 200) const {
    return judge({total, equal, kl_u, kl_p, top_u, top_p});
  }

  std::vector<double> kl_u, kl_p;
  std::vector<char> top_u, top_p;
};

TEST(Verdict, EqualTokensAreIdentical) {
  Observed run(100);
  run.kl_p.assign(100, 1.0);
  EXPECT_EQ(run.judged(200, 200).verdict, Verdict::identical);
  EXPECT_EQ(run.judged(199, 200).verdict, Verdict::failed);
}

TEST(Verdict, TheBoundOfTheKlIsTenPercentAndAFloor) {
  // Constant differences have no spread, so the bound is the mean itself.
  Observed run(100, 1e-3);
  run.kl_p.assign(100, 1.10e-3 + 0.9e-6);
  EXPECT_EQ(run.judged().verdict, Verdict::faithful);
  EXPECT_NEAR(run.judged().distance->kl_excess_bound, -0.1e-6, 1e-12);
  run.kl_p.assign(100, 1.10e-3 + 1.1e-6);
  auto failed = run.judged();
  EXPECT_EQ(failed.verdict, Verdict::failed);
  EXPECT_NEAR(failed.distance->kl_excess_bound, 0.1e-6, 1e-12);
  EXPECT_EQ(
      failed.reason,
      "KL to the reference is 0.0011 patched and 0.001 "
      "unpatched");
}

TEST(Verdict, TheFloorDecidesWhereTheUnpatchedModelIsTheReference) {
  Observed run(100, 0);
  run.kl_p.assign(100, 0.9e-6);
  EXPECT_EQ(run.judged().verdict, Verdict::faithful);
  run.kl_p.assign(100, 1.1e-6);
  EXPECT_EQ(run.judged().verdict, Verdict::failed);
}

TEST(Verdict, ChanceIsNoFailureAndAShiftIs) {
  std::mt19937_64 engine(7);
  std::exponential_distribution<double> draw(1000);
  auto noisy = [&](double factor) {
    Observed run(400);
    for (std::size_t i = 0; i < 400; ++i) {
      run.kl_u[i] = draw(engine);
      run.kl_p[i] = factor * draw(engine);
    }
    return run.judged().verdict;
  };
  EXPECT_EQ(noisy(1.0), Verdict::faithful);
  EXPECT_EQ(noisy(1.5), Verdict::failed);
}

TEST(Verdict, PairsAreComparedPositionByPosition) {
  // KL differs a thousandfold between positions; 12 % on each is visible only
  // in pairs.
  Observed run(400);
  std::mt19937_64 engine(8);
  std::uniform_real_distribution<double> draw(-6, 0);
  for (std::size_t i = 0; i < 400; ++i) {
    run.kl_u[i] = std::pow(10, draw(engine));
    run.kl_p[i] = 1.12 * run.kl_u[i];
  }
  EXPECT_EQ(run.judged().verdict, Verdict::failed);
}

TEST(Verdict, TopOneMayLoseOnePoint) {
  auto losing = [](int n) {
    Observed run(1000);
    for (int i = 0; i < n; ++i) {
      run.top_p[i * 10] = 0;
    }
    return run.judged();
  };
  EXPECT_EQ(losing(0).verdict, Verdict::faithful);
  EXPECT_EQ(losing(10).verdict, Verdict::faithful);
  auto failed = losing(40);
  EXPECT_EQ(failed.verdict, Verdict::failed);
  EXPECT_EQ(
      failed.reason,
      "top-1 agreement is 96.00 % patched and 100.00 % unpatched");
  EXPECT_DOUBLE_EQ(failed.distance->top1_patched, 0.96);
}

TEST(Verdict, GainsElsewhereMakeUpForLosses) {
  Observed run(1000);
  for (int i = 0; i < 100; ++i) {
    (i % 2 ? run.top_p : run.top_u)[i * 7] = 0;
  }
  EXPECT_EQ(run.judged().verdict, Verdict::faithful);
}

TEST(Verdict, NoNumberAlwaysFails) {
  for (double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    Observed run(100);
    run.kl_p[50] = bad;
    EXPECT_EQ(run.judged(200, 200).verdict, Verdict::failed);
    EXPECT_EQ(run.judged().reason, "a KL is not a finite number");
    EXPECT_FALSE(run.judged().distance);
  }
}

TEST(Verdict, SaysWhatItRestsOn) {
  EXPECT_EQ(
      Observed(100).judged(200, 200).basis,
      "greedy tokens (200) and distributions (at 100 positions)");
  EXPECT_EQ(
      Observed(0).judged(200, 200).basis,
      "greedy tokens alone (200); distributions were not compared");
}

TEST(Verdict, WithoutAReferenceOnlyEqualTokensPass) {
  EXPECT_EQ(Observed(0).judged(200, 200).verdict, Verdict::identical);
  EXPECT_FALSE(Observed(0).judged(200, 200).distance);
  auto failed = Observed(0).judged(150, 200);
  EXPECT_EQ(failed.verdict, Verdict::failed);
  EXPECT_EQ(
      failed.reason,
      "50 of 200 tokens differ and there is no reference to judge by");
}

TEST(Verdict, MalformedObservationsAreBugs) {
  Observed run(10);
  run.top_p.pop_back();
  EXPECT_THROW(run.judged(), InternalError);
  EXPECT_THROW(Observed(10).judged(0, 0), InternalError);
  EXPECT_THROW(Observed(10).judged(3, 2), InternalError);
}

} // namespace
} // namespace zmlx::measure
