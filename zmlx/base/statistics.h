#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "zmlx/export.h"

namespace zmlx {

/// Every function here throws InternalError on an empty sample: a figure of
/// nothing is a bug of the caller.

ZMLX_API double mean(std::span<const double> values);
ZMLX_API double median(std::span<const double> values);
/// The q-quantile, 0 <= q <= 1, linear between neighbours (type 7 of Hyndman
/// and Fan, what numpy gives).
ZMLX_API double quantile(std::span<const double> values, double q);

/// A sample in five figures.
struct Summary {
  double median;
  double lower_quartile;
  double upper_quartile;
  double min;
  double max;

  /// Distance between the quartiles as a share of the median.
  double spread() const {
    return median == 0 ? 0 : (upper_quartile - lower_quartile) / median;
  }
};
ZMLX_API Summary summarize(std::span<const double> values);

struct Interval {
  double lower;
  double upper;
};

/// How a bootstrap is drawn. The default seed is fixed, so that one sample
/// gives one interval on every machine.
struct Bootstrap {
  double level = 0.95; // share of resamples inside the interval
  int resamples = 2000;
  std::uint64_t seed = 0x5EED;
};

/// Percentile interval of a statistic of n observations. `statistic` gets n
/// indices drawn with replacement; one draw serves all it compares, which is
/// what makes a comparison paired.
ZMLX_API Interval bootstrap_interval(
    std::size_t n,
    const std::function<double(std::span<const std::size_t>)>& statistic,
    const Bootstrap& how = {});

/// The interval of the mean. Give it differences of pairs for a paired one.
ZMLX_API Interval bootstrap_mean_interval(
    std::span<const double> values,
    const Bootstrap& how = {});

/// The bound that the mean exceeds with confidence `how.level`: one-sided, the
/// (1 - level)-quantile of the resampled means.
ZMLX_API double bootstrap_mean_lower_bound(
    std::span<const double> values,
    const Bootstrap& how = {});

/// median(a) / median(b), where a[i] and b[i] were measured side by side.
/// InternalError where the lengths differ.
ZMLX_API Interval bootstrap_ratio_interval(
    std::span<const double> a,
    std::span<const double> b,
    const Bootstrap& how = {});

} // namespace zmlx
