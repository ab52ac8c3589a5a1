#include "zmlx/measure/verdict.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "zmlx/base/errors.h"
#include "zmlx/base/statistics.h"

namespace zmlx::measure {
namespace {

void check(const Fidelity& observed) {
  auto n = observed.kl_unpatched.size();
  if (observed.kl_patched.size() != n || observed.top1_unpatched.size() != n ||
      observed.top1_patched.size() != n) {
    throw internal_error(
        "verdict: expected one value per position, got {}, {}, {} and {}",
        n,
        observed.kl_patched.size(),
        observed.top1_unpatched.size(),
        observed.top1_patched.size());
  }
  if (observed.tokens_total == 0 ||
      observed.tokens_equal > observed.tokens_total) {
    throw internal_error(
        "verdict: {} of {} tokens are equal",
        observed.tokens_equal,
        observed.tokens_total);
  }
}

bool all_finite(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [](double value) {
    return std::isfinite(value);
  });
}

double share_of_ones(std::span<const char> flags) {
  return static_cast<double>(std::count_if(
             flags.begin(), flags.end(), [](char f) { return f != 0; })) /
      static_cast<double>(flags.size());
}

// The means, and the lower bounds of what the patched model has too much.
Distance distance_of(const Fidelity& observed) {
  auto n = observed.kl_unpatched.size();
  std::vector<double> kl_excess(n), top1_loss(n);
  for (std::size_t i = 0; i < n; ++i) {
    kl_excess[i] =
        observed.kl_patched[i] - kl_share * observed.kl_unpatched[i] - kl_floor;
    top1_loss[i] = (observed.top1_unpatched[i] != 0) -
        (observed.top1_patched[i] != 0) - top1_margin;
  }
  return {
      .kl_unpatched = mean(observed.kl_unpatched),
      .kl_patched = mean(observed.kl_patched),
      .top1_unpatched = share_of_ones(observed.top1_unpatched),
      .top1_patched = share_of_ones(observed.top1_patched),
      .kl_excess_bound = bootstrap_mean_lower_bound(kl_excess),
      .top1_loss_bound = bootstrap_mean_lower_bound(top1_loss)};
}

std::string basis_of(const Fidelity& observed) {
  const auto positions = observed.kl_patched.size();
  return positions == 0
      ? fmt::format(
            "greedy tokens alone ({}); distributions were not compared",
            observed.tokens_total)
      : fmt::format(
            "greedy tokens ({}) and distributions (at {} positions)",
            observed.tokens_total,
            positions);
}

// Why the answers differ by too much; empty where they do not.
std::string complaint(
    const Fidelity& observed,
    const std::optional<Distance>& distance) {
  if (!distance) {
    return fmt::format(
        "{} of {} tokens differ and there is no reference to judge by",
        observed.tokens_total - observed.tokens_equal,
        observed.tokens_total);
  }
  if (distance->kl_excess_bound > 0) {
    return fmt::format(
        "KL to the reference is {:.3g} patched and {:.3g} unpatched",
        distance->kl_patched,
        distance->kl_unpatched);
  }
  if (distance->top1_loss_bound > 0) {
    return fmt::format(
        "top-1 agreement is {:.2f} % patched and {:.2f} % unpatched",
        100 * distance->top1_patched,
        100 * distance->top1_unpatched);
  }
  return "";
}

} // namespace

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::identical:
      return "identical";
    case Verdict::faithful:
      return "faithful";
    case Verdict::failed:
      break;
  }
  return "failed";
}

Judgement judge(const Fidelity& observed) {
  check(observed);
  Judgement result{.basis = basis_of(observed)};
  if (!all_finite(observed.kl_unpatched) || !all_finite(observed.kl_patched)) {
    result.reason = "a KL is not a finite number";
    return result;
  }
  if (!observed.kl_patched.empty()) {
    result.distance = distance_of(observed);
  }
  if (observed.tokens_equal == observed.tokens_total) {
    result.verdict = Verdict::identical;
    return result;
  }
  result.reason = complaint(observed, result.distance);
  result.verdict = result.reason.empty() ? Verdict::faithful : Verdict::failed;
  return result;
}

} // namespace zmlx::measure
