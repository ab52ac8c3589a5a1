#pragma once

#include <functional>
#include <string>
#include <vector>

#include "zmlx/base/statistics.h"
#include "zmlx/export.h"

namespace zmlx::measure {

/// Something to time. `run` returns when its work is done, not queued.
struct Candidate {
  std::string name;
  std::function<void()> run;
};

struct TimerOptions {
  int rounds = 15;
  int warmup = 1; // runs of each candidate before the first round
  /// A sample repeats its candidate until it lasts this long, in seconds.
  double min_sample = 1e-3;
  /// Seconds since some moment.
  std::function<double()> clock = {}; // the steady clock
};

struct Timing {
  std::string name;
  /// Seconds of one run, a value a round.
  std::vector<double> samples;
  Summary seconds{};
};

/// Times the candidates side by side: in each round every candidate gives one
/// sample, in an order that changes from round to round, so that what the
/// machine does meanwhile falls on all of them. In the order given.
/// InternalError for no candidates, fewer than one round, or a clock that
/// stands still.
ZMLX_API std::vector<Timing> time_interleaved(
    const std::vector<Candidate>& candidates,
    const TimerOptions& options = {});

/// How many times faster `candidate` is than `baseline`: the ratio of their
/// medians and its 95 % interval over paired rounds.
struct Speedup {
  double ratio;
  Interval interval;
};
ZMLX_API Speedup speedup(const Timing& baseline, const Timing& candidate);

} // namespace zmlx::measure
