#include "zmlx/base/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "zmlx/base/errors.h"

namespace zmlx {
namespace {

void check_sample(std::span<const double> values, const char* what) {
  if (values.empty()) {
    throw internal_error("{}: expected at least one value, got none", what);
  }
}

double sorted_quantile(const std::vector<double>& sorted, double q) {
  double place = q * static_cast<double>(sorted.size() - 1);
  auto below = static_cast<std::size_t>(place);
  auto above = std::min(below + 1, sorted.size() - 1);
  double share = place - static_cast<double>(below);
  return sorted[below] + share * (sorted[above] - sorted[below]);
}

std::vector<double> sorted_copy(std::span<const double> values) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

// The standard fixes what mt19937_64 yields but not what its distributions
// make of it, so indices are scaled here.
class IndexSource {
 public:
  IndexSource(std::uint64_t seed, std::size_t n) : engine_(seed), n_(n) {}

  void draw(std::vector<std::size_t>& out) {
    for (auto& index : out) {
      index = static_cast<std::size_t>(
          (static_cast<unsigned __int128>(engine_()) * n_) >> 64);
    }
  }

 private:
  std::mt19937_64 engine_;
  std::size_t n_;
};

std::vector<double> resample(
    std::size_t n,
    const std::function<double(std::span<const std::size_t>)>& statistic,
    const Bootstrap& how) {
  if (n == 0 || how.resamples < 1 || how.level <= 0 || how.level >= 1) {
    throw internal_error(
        "bootstrap: expected observations, resamples and a level inside (0, 1), "
        "got {}, {} and {}",
        n,
        how.resamples,
        how.level);
  }
  IndexSource source(how.seed, n);
  std::vector<std::size_t> indices(n);
  std::vector<double> values(static_cast<std::size_t>(how.resamples));
  for (auto& value : values) {
    source.draw(indices);
    value = statistic(indices);
  }
  std::sort(values.begin(), values.end());
  return values;
}

auto mean_over(std::span<const double> values) {
  return [values](std::span<const std::size_t> indices) {
    double sum = 0;
    for (auto i : indices) {
      sum += values[i];
    }
    return sum / static_cast<double>(indices.size());
  };
}

} // namespace

double mean(std::span<const double> values) {
  check_sample(values, "mean");
  return std::accumulate(values.begin(), values.end(), 0.0) /
      static_cast<double>(values.size());
}

double median(std::span<const double> values) {
  return quantile(values, 0.5);
}

double quantile(std::span<const double> values, double q) {
  check_sample(values, "quantile");
  if (!(q >= 0 && q <= 1)) {
    throw internal_error("quantile: expected 0 <= q <= 1, got {}", q);
  }
  return sorted_quantile(sorted_copy(values), q);
}

Summary summarize(std::span<const double> values) {
  check_sample(values, "summarize");
  auto sorted = sorted_copy(values);
  return {
      sorted_quantile(sorted, 0.5),
      sorted_quantile(sorted, 0.25),
      sorted_quantile(sorted, 0.75),
      sorted.front(),
      sorted.back()};
}

Interval bootstrap_interval(
    std::size_t n,
    const std::function<double(std::span<const std::size_t>)>& statistic,
    const Bootstrap& how) {
  auto values = resample(n, statistic, how);
  double tail = (1 - how.level) / 2;
  return {sorted_quantile(values, tail), sorted_quantile(values, 1 - tail)};
}

Interval bootstrap_mean_interval(
    std::span<const double> values,
    const Bootstrap& how) {
  return bootstrap_interval(values.size(), mean_over(values), how);
}

double bootstrap_mean_lower_bound(
    std::span<const double> values,
    const Bootstrap& how) {
  auto means = resample(values.size(), mean_over(values), how);
  return sorted_quantile(means, 1 - how.level);
}

Interval bootstrap_ratio_interval(
    std::span<const double> a,
    std::span<const double> b,
    const Bootstrap& how) {
  if (a.size() != b.size()) {
    throw internal_error(
        "bootstrap of a ratio: expected pairs, got {} and {} values",
        a.size(),
        b.size());
  }
  std::vector<double> x(a.size()), y(b.size());
  return bootstrap_interval(
      a.size(),
      [&](std::span<const std::size_t> indices) {
        for (std::size_t i = 0; i < indices.size(); ++i) {
          x[i] = a[indices[i]];
          y[i] = b[indices[i]];
        }
        return median(x) / median(y);
      },
      how);
}

} // namespace zmlx
