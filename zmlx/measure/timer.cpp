#include "zmlx/measure/timer.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <random>

#include "zmlx/base/errors.h"

namespace zmlx::measure {
namespace {

double steady_seconds() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

double sample(
    const Candidate& candidate,
    long repeats,
    const std::function<double()>& clock) {
  double start = clock();
  for (long i = 0; i < repeats; ++i) {
    candidate.run();
  }
  return clock() - start;
}

// Runs of the candidate that last `min_sample`.
long calibrate(const Candidate& candidate, const TimerOptions& options) {
  constexpr long most = 1L << 30;
  for (long repeats = 1;; repeats *= 2) {
    double seconds = sample(candidate, repeats, options.clock);
    if (seconds >= options.min_sample) {
      return repeats;
    }
    if (repeats >= most) {
      throw internal_error(
          "timer: {} runs of '{}' take {} s, expected {} s",
          repeats,
          candidate.name,
          seconds,
          options.min_sample);
    }
  }
}

// std::shuffle draws as the library likes; the order should not depend on it.
void shuffle(std::vector<std::size_t>& order, std::mt19937& engine) {
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[engine() % i]);
  }
}

} // namespace

std::vector<Timing> time_interleaved(
    const std::vector<Candidate>& candidates,
    const TimerOptions& asked) {
  auto options = asked;
  if (!options.clock) {
    options.clock = steady_seconds;
  }
  if (candidates.empty() || options.rounds < 1) {
    throw internal_error(
        "timer: expected candidates and rounds, got {} and {}",
        candidates.size(),
        options.rounds);
  }
  std::vector<Timing> timings;
  std::vector<long> repeats;
  for (const auto& candidate : candidates) {
    for (int i = 0; i < options.warmup; ++i) {
      candidate.run();
    }
    repeats.push_back(calibrate(candidate, options));
    timings.push_back({candidate.name, {}, {}});
  }
  std::vector<std::size_t> order(candidates.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937 engine(1);
  for (int round = 0; round < options.rounds; ++round) {
    shuffle(order, engine);
    for (auto i : order) {
      timings[i].samples.push_back(
          sample(candidates[i], repeats[i], options.clock) /
          static_cast<double>(repeats[i]));
    }
  }
  for (auto& timing : timings) {
    timing.seconds = summarize(timing.samples);
  }
  return timings;
}

Speedup speedup(const Timing& baseline, const Timing& candidate) {
  return {
      baseline.seconds.median / candidate.seconds.median,
      bootstrap_ratio_interval(baseline.samples, candidate.samples)};
}

} // namespace zmlx::measure
