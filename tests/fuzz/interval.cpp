#include "tests/fuzz/interval.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "zmlx/base/errors.h"

namespace zmlx::fuzz {
namespace {

using lang::Op;
using lang::Type;

struct Format {
  double unit; // roundoff
  double largest;
  double smallest_normal;
  double smallest;
};

// A float64 evaluation and these bounds themselves round alike: twice the unit.
Format format_of(Type type) {
  if (type == Type::F64) {
    return {0x1p-52, std::numeric_limits<double>::max(), 0x1p-1022, 0x1p-1074};
  }
  return {
      0x1p-24 + 0x1p-50, std::numeric_limits<float>::max(), 0x1p-126, 0x1p-149};
}

/// Room for an error of `units` roundoffs and of `absolute`, and for what
/// becomes infinite in the type.
Interval widened(Interval x, const Format& f, double units, double absolute) {
  if (x.empty()) {
    return x;
  }
  x.low -= std::abs(x.low) * f.unit * units + absolute;
  x.high += std::abs(x.high) * f.unit * units + absolute;
  // An infinity minus itself.
  x.low = std::isnan(x.low) ? -kInfinity : x.low;
  x.high = std::isnan(x.high) ? kInfinity : x.high;
  x.low = x.low < -f.largest ? -kInfinity : x.low;
  x.high = x.high > f.largest ? kInfinity : x.high;
  // Below -largest everything may be -infinity, and above it the reverse.
  if (x.high < -f.largest) {
    x.high = -f.largest;
  }
  if (x.low > f.largest) {
    x.low = f.largest;
  }
  return x;
}

bool is_zero(const Interval& x) {
  return x.point() && x.low == 0;
}

bool may_be_infinite(const Interval& x) {
  return !x.empty() && (std::isinf(x.low) || std::isinf(x.high));
}

Interval
corners(double (*f)(double, double), const Interval& a, const Interval& b) {
  Interval result;
  for (double x : {a.low, a.high}) {
    for (double y : {b.low, b.high}) {
      const double z = f(x, y);
      if (std::isnan(z)) {
        return kAnything;
      }
      result.low = std::min(result.low, z);
      result.high = std::max(result.high, z);
    }
  }
  return result;
}

Interval sum_of(const Interval& a, const Interval& b) {
  const bool opposite = (a.high == kInfinity && b.low == -kInfinity) ||
      (a.low == -kInfinity && b.high == kInfinity);
  return opposite ? kAnything : Interval{a.low + b.low, a.high + b.high, false};
}

Interval negative(const Interval& x) {
  return {-x.high, -x.low, x.nan};
}

Interval product_of(const Interval& a, const Interval& b) {
  if ((is_zero(a) && !may_be_infinite(b)) ||
      (is_zero(b) && !may_be_infinite(a))) {
    return only(0);
  }
  const bool none =
      (a.has(0) && may_be_infinite(b)) || (b.has(0) && may_be_infinite(a));
  return none ? kAnything
              : corners([](double x, double y) { return x * y; }, a, b);
}

Interval quotient_of(const Interval& a, const Interval& b) {
  if (b.has(0)) {
    return kAnything; // which infinity depends on the sign of the zero
  }
  return is_zero(a) ? only(0)
                    : corners([](double x, double y) { return x / y; }, a, b);
}

double sign_of_divisor(double a, double b) {
  const double r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

// Sign of the divisor; exact where the operands are.
Interval modulo(const Interval& a, const Interval& b) {
  if (b.has(0) || may_be_infinite(a) || may_be_infinite(b)) {
    return kAnything;
  }
  if (a.point() && b.point()) {
    return only(sign_of_divisor(a.low, b.low));
  }
  const Interval q = quotient_of(a, b);
  const double slack = 0x1p-20 * std::max(std::abs(q.low), std::abs(q.high));
  const double whole = std::floor(q.low - slack);
  if (whole != std::floor(q.high + slack)) {
    return {std::min(0.0, b.low), std::max(0.0, b.high), false};
  }
  return sum_of(a, negative(product_of(b, only(whole))));
}

Interval increasing(double (*f)(double), const Interval& x) {
  return {f(x.low), f(x.high), x.nan};
}

/// f on the part of x from `least` on; what lies before is NaN.
Interval increasing_from(double least, double (*f)(double), const Interval& x) {
  Interval result;
  if (x.high >= least) {
    result = {f(std::max(x.low, least)), f(x.high), false};
  }
  result.nan = x.low < least;
  return result;
}

Interval magnitude(const Interval& x) {
  if (x.low >= 0) {
    return x;
  }
  if (x.high <= 0) {
    return {-x.high, -x.low, x.nan};
  }
  return {0, std::max(-x.low, x.high), x.nan};
}

/// cos(x - phase).
Interval wave(const Interval& x, double phase) {
  constexpr double kPi = std::numbers::pi;
  if (std::max(std::abs(x.low), std::abs(x.high)) > 30000) {
    return kAnything;
  }
  const double low = x.low - phase, high = x.high - phase;
  Interval result{
      std::min(std::cos(low), std::cos(high)),
      std::max(std::cos(low), std::cos(high)),
      false};
  // Extremes at k pi: the greatest where k is even.
  for (double k = std::ceil(low / kPi); k * kPi <= high; ++k) {
    (std::fmod(k, 2) == 0 ? result.high : result.low) =
        std::fmod(k, 2) == 0 ? 1 : -1;
    if (high - low > 2 * kPi) {
      return {-1, 1, false};
    }
  }
  return result;
}

Interval power_of_positive(const Interval& a, const Interval& b) {
  return corners([](double x, double y) { return std::pow(x, y); }, a, b);
}

Interval power(const Interval& a, const Interval& b) {
  if (a.low > 0) {
    return power_of_positive(a, b);
  }
  if (is_zero(a)) {
    return b.low > 0 ? only(0) : kAnything;
  }
  const bool whole = b.point() && b.low == std::floor(b.low);
  if (!whole || (b.low < 0 && a.has(0)) || may_be_infinite(a)) {
    return kAnything;
  }
  const bool even = std::fmod(b.low, 2) == 0;
  const double low = std::pow(a.low, b.low), high = std::pow(a.high, b.low);
  Interval result{std::min(low, high), std::max(low, high), false};
  if (even && a.has(0)) {
    result.low = 0;
  }
  return result;
}

Interval greater(const Interval& a, const Interval& b) {
  return {std::max(a.low, b.low), std::max(a.high, b.high), false};
}

Interval lesser(const Interval& a, const Interval& b) {
  return {std::min(a.low, b.low), std::min(a.high, b.high), false};
}

Interval exact_unary(Op op, const Interval& x) {
  // clang-format off
  switch (op) {
    case Op::Neg: return negative(x);
    case Op::Abs: return magnitude(x);
    case Op::Floor: return increasing([](double v) { return std::floor(v); }, x);
    case Op::Ceil: return increasing([](double v) { return std::ceil(v); }, x);
    case Op::Round: return increasing([](double v) { return std::nearbyint(v); }, x);
    case Op::Exp: return increasing([](double v) { return std::exp(v); }, x);
    case Op::Expm1: return increasing([](double v) { return std::expm1(v); }, x);
    case Op::Tanh: return increasing([](double v) { return std::tanh(v); }, x);
    case Op::Erf: return increasing([](double v) { return std::erf(v); }, x);
    case Op::Sigmoid: return increasing([](double v) { return 1 / (1 + std::exp(-v)); }, x);
    case Op::Log: return increasing_from(0, [](double v) { return std::log(v); }, x);
    case Op::Log1p: return increasing_from(-1, [](double v) { return std::log1p(v); }, x);
    case Op::Sqrt: return increasing_from(0, [](double v) { return std::sqrt(v); }, x);
    case Op::Sin: return wave(x, std::numbers::pi / 2);
    case Op::Cos: return wave(x, 0);
    default: break;
  }
  // clang-format on
  if (op == Op::Rsqrt) {
    if (x.low <= 0) {
      return x.high < 0 ? only(NAN) : kAnything;
    }
    return {1 / std::sqrt(x.high), 1 / std::sqrt(x.low), false};
  }
  throw internal_error("fuzz: no interval for '{}'", name_of(op));
}

Interval exact_binary(Op op, const Interval& a, const Interval& b) {
  switch (op) {
    case Op::Add:
      return sum_of(a, b);
    case Op::Sub:
      return sum_of(a, negative(b));
    case Op::Mul:
      return product_of(a, b);
    case Op::Div:
      return quotient_of(a, b);
    case Op::Mod:
      return modulo(a, b);
    case Op::Pow:
      return power(a, b);
    case Op::Max:
      return greater(a, b);
    case Op::Min:
      return lesser(a, b);
    default:
      throw internal_error("fuzz: no interval for '{}'", name_of(op));
  }
}

Interval
with_error(Op op, Type type, const Interval& operand, const Interval& x) {
  const Format f = format_of(type);
  switch (op) {
    case Op::Neg:
    case Op::Abs:
    case Op::Floor:
    case Op::Ceil:
    case Op::Round:
    case Op::Max:
    case Op::Min:
      return x;
    case Op::Add:
    case Op::Sub:
    case Op::Sqrt:
    case Op::Mod:
      return widened(x, f, 1, 0);
    case Op::Mul:
    case Op::Div:
      return is_zero(x) ? x : widened(x, f, 1, f.smallest);
    case Op::Sin:
    case Op::Cos:
    case Op::Erf:
      return widened(x, f, 0, 10 * f.unit);
    case Op::Exp:
    case Op::Sigmoid: {
      const double size = std::min(magnitude(operand).high, 128.0);
      Interval result = widened(x, f, 10 + size, f.smallest_normal);
      result.high = result.high > f.largest / 2 ? kInfinity : result.high;
      return result;
    }
    default:
      return widened(x, f, 10, f.smallest_normal);
  }
}

// Nearest number of `digits` binary digits, none less than 2^lowest apart.
double round_to(double x, int digits, int lowest, double largest) {
  if (x == 0 || !std::isfinite(x)) {
    return x;
  }
  const int apart = std::max(std::ilogb(x) + 1 - digits, lowest);
  const double y = std::ldexp(std::nearbyint(std::ldexp(x, -apart)), apart);
  return std::abs(y) > largest ? std::copysign(kInfinity, x) : y;
}

double round_to(Type stored, double x) {
  switch (stored) {
    case Type::F16:
      return round_to(x, 11, -24, 65504);
    case Type::BF16:
      return round_to(x, 8, -133, 0x1.FEp127);
    case Type::F32:
      return static_cast<float>(x);
    default:
      return x;
  }
}

} // namespace

bool is_sharp(const Interval& x) {
  if (x.empty() || x.point()) {
    return true;
  }
  const double size = std::max(std::abs(x.low), std::abs(x.high));
  return !x.nan && std::isfinite(size) &&
      x.high - x.low <= 0x1p-8 * size + 0x1p-20;
}

Interval hull(const Interval& a, const Interval& b) {
  return {std::min(a.low, b.low), std::max(a.high, b.high), a.nan || b.nan};
}

Interval stored_in(const Interval& x, Type compute) {
  const bool held =
      compute == Type::F64 || (x.point() && static_cast<float>(x.low) == x.low);
  return held ? x : widened(x, format_of(compute), 1, 0x1p-149);
}

Interval apply(Op op, Type type, const Interval& a, const Interval& b) {
  const bool two = lang::arity(op) == 2;
  if (op == Op::Pow && (b.point() && b.low == 0)) {
    return {1, 1, a.nan}; // a signalling NaN stays one
  }
  if (op == Op::Pow && (a.point() && a.low == 1)) {
    return {1, 1, b.nan};
  }
  if (op == Op::Pow && (a.empty() || b.empty())) {
    const bool one = a.has(1) || b.has(0);
    return one ? Interval{1, 1, true} : only(NAN);
  }
  // A NaN comes out of everything, and nothing else of an operand that is one.
  if (a.empty() || (two && b.empty())) {
    return only(NAN);
  }
  Interval result = two ? exact_binary(op, a, b) : exact_unary(op, a);
  result.nan = result.nan || a.nan || (two && b.nan);
  return with_error(op, type, a, result);
}

Interval rounded(Type stored, const Interval& x) {
  if (x.empty()) {
    return x;
  }
  // Once, or by way of float32.
  const auto both = [&](double bound) {
    const double direct = round_to(stored, bound);
    return std::pair(direct, round_to(stored, static_cast<float>(bound)));
  };
  const auto low = both(x.low), high = both(x.high);
  return {
      std::min(low.first, low.second),
      std::max(high.first, high.second),
      x.nan};
}

void Total::add(const Interval& x) {
  ++terms_;
  if (terms_ == 1) {
    exact_ = x;
  } else if (x.empty() || exact_.empty()) {
    exact_ = only(NAN);
  } else {
    const bool nan = exact_.nan || x.nan;
    exact_ = op_ == Op::Prod ? product_of(exact_, x) : sum_of(exact_, x);
    exact_.nan = exact_.nan || nan;
  }
  const Interval size = magnitude(x);
  magnitude_ += size.high;
  above_ *= std::max(1.0, size.high);
  below_ *= std::min(1.0, size.low);
}

Interval Total::result() const {
  const Format f = format_of(type_);
  if (terms_ == 0) {
    return only(op_ == Op::Prod ? 1 : 0);
  }
  if (terms_ == 1 || exact_.empty()) {
    return exact_;
  }
  // What is added up first may leave the range that the whole keeps to.
  if ((op_ == Op::Prod ? above_ : magnitude_) > f.largest) {
    return kAnything;
  }
  if (op_ == Op::Prod) {
    const bool normal = is_zero(exact_) || below_ > f.smallest_normal;
    return widened(
        exact_, f, terms_, normal ? 0 : terms_ * f.smallest * above_);
  }
  return widened(exact_, f, 0, terms_ * f.unit * magnitude_);
}

} // namespace zmlx::fuzz
