#include "zmlx/measure/timer.h"

#include <set>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"

namespace zmlx::measure {
namespace {

// A clock that the candidates themselves move on.
struct Workshop {
  double now = 0;
  std::vector<char> runs;

  Candidate candidate(char name, double seconds) {
    return {std::string(1, name), [this, name, seconds] {
              now += seconds * machine;
              runs.push_back(name);
            }};
  }
  TimerOptions options() {
    return {.rounds = 12, .min_sample = 1e-3, .clock = [this] { return now; }};
  }

  double machine = 1; // how slow the machine is now
};

TEST(Timer, GivesTheTimeOfOneRun) {
  Workshop w;
  auto timings = time_interleaved(
      {w.candidate('a', 0.004), w.candidate('b', 1e-6)}, w.options());
  ASSERT_EQ(timings.size(), 2u);
  EXPECT_EQ(timings[0].name, "a");
  EXPECT_EQ(timings[0].samples.size(), 12u);
  EXPECT_NEAR(timings[0].seconds.median, 0.004, 1e-9);
  EXPECT_NEAR(timings[1].seconds.median, 1e-6, 1e-12);
}

TEST(Timer, ShortRunsAreRepeatedUntilTheyCount) {
  Workshop w;
  auto options = w.options();
  options.rounds = 1;
  time_interleaved({w.candidate('a', 1e-5)}, options);
  // Warm-up, calibration 1 + 2 + ... + 128, one sample of 128 runs.
  EXPECT_EQ(w.runs.size(), 1u + 255u + 128u);
}

TEST(Timer, RoundsMixTheCandidates) {
  Workshop w;
  time_interleaved(
      {w.candidate('a', 0.01), w.candidate('b', 0.01), w.candidate('c', 0.01)},
      w.options());
  // After two runs of each come rounds of three, each candidate in each.
  ASSERT_EQ(w.runs.size(), 6u + 36u);
  std::set<std::string> orders;
  for (std::size_t at = 6; at < w.runs.size(); at += 3) {
    std::string round(w.runs.begin() + at, w.runs.begin() + at + 3);
    orders.insert(round);
    EXPECT_EQ(std::set<char>(round.begin(), round.end()).size(), 3u) << round;
  }
  EXPECT_GT(orders.size(), 2u);
}

TEST(Timer, SpeedupSurvivesAMachineThatDrifts) {
  Workshop w;
  auto slow = w.candidate('a', 0.02), fast = w.candidate('b', 0.005);
  // The machine slows down by a quarter after every pair of runs.
  int pairs = 0;
  auto drifting = [&](Candidate c) {
    return Candidate{c.name, [&, c] {
                       c.run();
                       w.machine *= ++pairs % 2 ? 1 : 1.25;
                     }};
  };
  auto timings =
      time_interleaved({drifting(slow), drifting(fast)}, w.options());
  auto gain = speedup(timings[0], timings[1]);
  EXPECT_NEAR(gain.ratio, 4, 1e-9);
  EXPECT_NEAR(gain.interval.lower, 4, 1e-9);
  EXPECT_NEAR(gain.interval.upper, 4, 1e-9);
}

TEST(Timer, RefusesWhatCannotBeTimed) {
  Workshop w;
  EXPECT_THROW(time_interleaved({}, w.options()), InternalError);
  auto options = w.options();
  options.rounds = 0;
  EXPECT_THROW(time_interleaved({w.candidate('a', 1)}, options), InternalError);
}

} // namespace
} // namespace zmlx::measure
