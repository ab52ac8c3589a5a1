#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string_view>

#include "zmlx/export.h"

namespace zmlx {

/// The seconds, since the system began, in which these CPUs were not idle, by
/// the text of /proc/stat, whose times are in ticks. Time that a host gave to
/// its other guests counts as well. Nothing where a CPU is missing.
ZMLX_API std::optional<double>
busy_seconds(std::string_view stat, std::span<const int> cpus, double tick);

/// What other programs take of the CPUs that this process may run on.
class ZMLX_API OtherLoad {
 public:
  /// Begins to measure.
  OtherLoad();
  /// How many of the CPUs others had on average since then: 1.5 are one and a
  /// half. Nothing where the system does not say, and within the first 0.2 s,
  /// for the system counts in hundredths of a second.
  std::optional<double> cpus() const;

 private:
  struct Moment {
    std::chrono::steady_clock::time_point time;
    std::optional<double> busy; // seconds of all CPUs together
    double own = 0;
  };
  static Moment now();
  Moment begin_;
};

/// From so many CPUs on others are worth a word.
inline constexpr double worth_telling_cpus = 0.2;

} // namespace zmlx
