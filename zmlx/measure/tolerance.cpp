#include "zmlx/measure/tolerance.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "zmlx/base/errors.h"

namespace zmlx::measure {
namespace {

struct Row {
  mx::Dtype::Val stored;
  Tolerance map;
  Tolerance row;
  Tolerance product;
};

// Half a unit in the last place is 2^-24 (float32), 2^-11 (float16) and 2^-8
// (bfloat16) of the value; twice that where float32 error may tip the rounding.
// float32 has room for a few float32 operations and a polynomial, rows and
// products for sums of 10^5 terms in any order.
const double p = 1.0;
const Row table[] = {
    {mx::Dtype::Val::float64,
     {std::ldexp(p, -46), std::ldexp(p, -48)},
     {std::ldexp(p, -42), std::ldexp(p, -44)},
     {std::ldexp(p, -42), std::ldexp(p, -42)}},
    {mx::Dtype::Val::float32,
     {std::ldexp(p, -19), std::ldexp(p, -20)},
     {std::ldexp(p, -16), std::ldexp(p, -18)},
     {std::ldexp(p, -16), std::ldexp(p, -17)}},
    {mx::Dtype::Val::float16,
     {std::ldexp(p, -10), std::ldexp(p, -20)},
     {std::ldexp(p, -10), std::ldexp(p, -18)},
     {std::ldexp(p, -10), std::ldexp(p, -16)}},
    {mx::Dtype::Val::bfloat16,
     {std::ldexp(p, -7), std::ldexp(p, -20)},
     {std::ldexp(p, -7), std::ldexp(p, -18)},
     {std::ldexp(p, -7), std::ldexp(p, -16)}},
};

double largest(mx::Dtype stored) {
  switch (stored.val()) {
    case mx::Dtype::Val::float16:
      return 65504;
    case mx::Dtype::Val::bfloat16:
      return std::ldexp(2 - std::ldexp(1, -7), 127);
    case mx::Dtype::Val::float32:
      return std::numeric_limits<float>::max();
    default:
      return std::numeric_limits<double>::max();
  }
}

// The step between the numbers next to zero: what relative error means nothing
// for.
double smallest(mx::Dtype stored) {
  switch (stored.val()) {
    case mx::Dtype::Val::float16:
      return std::ldexp(1, -24);
    case mx::Dtype::Val::bfloat16:
      return std::ldexp(1, -133);
    case mx::Dtype::Val::float32:
      return std::ldexp(1, -149);
    default:
      return 0;
  }
}

mx::array as_float64(const mx::array& a) {
  auto result = mx::contiguous(
      mx::astype(a, mx::float64, mx::Device::cpu), false, mx::Device::cpu);
  result.eval();
  return result;
}

double largest_magnitude(std::span<const double> values) {
  double result = 0;
  for (double value : values) {
    if (std::isfinite(value)) {
      result = std::max(result, std::abs(value));
    }
  }
  return result;
}

// The difference as a share of what is allowed.
double excess(double got, double want, double allowed) {
  if (std::isnan(got) || std::isnan(want)) {
    return std::isnan(got) == std::isnan(want)
        ? 0
        : std::numeric_limits<double>::infinity();
  }
  double difference = got == want ? 0 : std::abs(got - want);
  return difference == 0 ? 0 : difference / allowed;
}

} // namespace

Tolerance tolerance(mx::Dtype stored, OpClass op) {
  if (op == OpClass::exact || !mx::issubdtype(stored, mx::inexact)) {
    return {};
  }
  for (const auto& row : table) {
    if (row.stored == stored.val()) {
      return op == OpClass::map ? row.map
          : op == OpClass::row  ? row.row
                                : row.product;
    }
  }
  throw user_error("tolerance: expected a real type, got complex64");
}

Comparison compare(
    const mx::array& got,
    const mx::array& want,
    OpClass op,
    std::optional<double> magnitude) {
  if (got.shape() != want.shape()) {
    throw user_error(
        "compare: expected the shape of the reference, ({}), got ({})",
        fmt::join(want.shape(), ", "),
        fmt::join(got.shape(), ", "));
  }
  auto got64 = as_float64(got), want64 = as_float64(want);
  std::span<const double> g(got64.data<double>(), got64.size());
  std::span<const double> w(want64.data<double>(), want64.size());
  auto limits = tolerance(got.dtype(), op);
  double scale = magnitude ? *magnitude
      : op == OpClass::map ? 1
                           : largest_magnitude(w);
  // Infinity stands one step past the largest number, so that it is near to
  // what rounds to it and far from the rest.
  double top = largest(got.dtype());
  double beyond = std::min(
      top * (1 + limits.relative / 2), std::numeric_limits<double>::max());

  double step = op == OpClass::exact ? 0 : smallest(got.dtype());
  Comparison result{.size = g.size()};
  for (std::size_t i = 0; i < g.size(); ++i) {
    double a = std::clamp(g[i], -beyond, beyond);
    double b = std::clamp(w[i], -beyond, beyond);
    double share = excess(
        a, b, limits.relative * std::abs(b) + limits.absolute * scale + step);
    result.mismatches += share > 1;
    if (share > result.worst) {
      result.worst = share;
      result.worst_index = i;
      result.worst_got = g[i];
      result.worst_want = w[i];
    }
  }
  return result;
}

std::string Comparison::to_string() const {
  if (worst == 0) {
    return fmt::format("all {} equal", size);
  }
  return fmt::format(
      "{} of {} differ; worst at {}: got {}, expected {} ({:.3g} x allowed)",
      mismatches,
      size,
      worst_index,
      worst_got,
      worst_want,
      worst);
}

} // namespace zmlx::measure
