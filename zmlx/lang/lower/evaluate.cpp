#include "zmlx/lang/lower/evaluate.h"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "zmlx/base/errors.h"

namespace zmlx::lang::lower_detail {
namespace {

template <std::floating_point T>
T sigmoid(T x) {
  T e = std::exp(-std::abs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

template <std::floating_point T>
T modulo(T a, T b) {
  T r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

template <std::floating_point T>
std::optional<T> unary(Op op, T x) {
  switch (op) {
    case Op::Neg:
      return -x;
    case Op::Abs:
      return std::abs(x);
    case Op::Exp:
      return std::exp(x);
    case Op::Expm1:
      return std::expm1(x);
    case Op::Log:
      return std::log(x);
    case Op::Log1p:
      return std::log1p(x);
    case Op::Sqrt:
      return std::sqrt(x);
    case Op::Rsqrt:
      return 1 / std::sqrt(x);
    case Op::Sin:
      return std::sin(x);
    case Op::Cos:
      return std::cos(x);
    case Op::Tanh:
      return std::tanh(x);
    case Op::Sigmoid:
      return sigmoid(x);
    case Op::Erf:
      return std::erf(x);
    case Op::Floor:
      return std::floor(x);
    case Op::Ceil:
      return std::ceil(x);
    case Op::Round:
      return std::nearbyint(x);
    default:
      return {};
  }
}

template <std::floating_point T>
std::optional<T> binary(Op op, T a, T b) {
  switch (op) {
    case Op::Add:
      return a + b;
    case Op::Sub:
      return a - b;
    case Op::Mul:
      return a * b;
    case Op::Div:
      return a / b;
    case Op::Mod:
      return modulo(a, b);
    case Op::Pow:
      return std::pow(a, b);
    case Op::Max:
      return std::isnan(a) || a > b ? a : b;
    case Op::Min:
      return std::isnan(a) || a < b ? a : b;
    default:
      return {};
  }
}

template <std::integral T>
std::optional<T> unary(Op op, T x) {
  using U = std::make_unsigned_t<T>;
  switch (op) {
    case Op::Neg:
      return static_cast<T>(U{0} - static_cast<U>(x));
    case Op::Abs:
      return x < 0 ? static_cast<T>(U{0} - static_cast<U>(x)) : x;
    default:
      return {};
  }
}

template <std::integral T>
T divide(T a, T b) {
  if (b == 0) {
    return 0;
  }
  if (std::is_signed_v<T> && b == static_cast<T>(-1)) {
    return *unary(Op::Neg, a); // the lowest integer has no opposite
  }
  return a / b;
}

template <std::integral T>
T modulo(T a, T b) {
  if (b == 0 || (std::is_signed_v<T> && b == static_cast<T>(-1))) {
    return 0;
  }
  T r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

template <std::integral T>
std::optional<T> power(T base, T exponent) {
  if (exponent < 0) {
    return {};
  }
  using U = std::make_unsigned_t<T>;
  U result = 1;
  for (U b = static_cast<U>(base), e = static_cast<U>(exponent); e != 0;
       e >>= 1) {
    result = (e & 1) != 0 ? result * b : result;
    b *= b;
  }
  return static_cast<T>(result);
}

template <std::integral T>
std::optional<T> binary(Op op, T a, T b) {
  using U = std::make_unsigned_t<T>;
  U ua = static_cast<U>(a);
  U ub = static_cast<U>(b);
  switch (op) {
    case Op::Add:
      return static_cast<T>(ua + ub);
    case Op::Sub:
      return static_cast<T>(ua - ub);
    case Op::Mul:
      return static_cast<T>(ua * ub);
    case Op::Div:
      return divide(a, b);
    case Op::Mod:
      return modulo(a, b);
    case Op::Pow:
      return power(a, b);
    case Op::Max:
      return a > b ? a : b;
    case Op::Min:
      return a < b ? a : b;
    case Op::BitAnd:
      return a & b;
    case Op::BitOr:
      return a | b;
    case Op::BitXor:
      return a ^ b;
    case Op::Shl:
    case Op::Shr:
      if (b < 0 || ub >= sizeof(T) * 8) {
        return {};
      }
      return op == Op::Shl ? static_cast<T>(ua << ub) : static_cast<T>(a >> b);
    default:
      return {};
  }
}

template <typename T>
std::optional<double> compare(Op op, T a, T b) {
  switch (op) {
    case Op::Less:
      return a < b;
    case Op::LessEqual:
      return a <= b;
    case Op::Equal:
      return a == b;
    case Op::NotEqual:
      return a != b;
    default:
      return {};
  }
}

template <typename T>
std::optional<double> as_double(std::optional<T> result) {
  if (!result) {
    return {};
  }
  double value = static_cast<double>(*result);
  if constexpr (std::is_integral_v<T> && sizeof(T) == 8) {
    if (std::abs(value) > 0x1p53) {
      return {};
    }
  }
  return value;
}

template <typename T>
std::optional<double> evaluate_as(Op op, const std::array<double, 3>& in) {
  T a = static_cast<T>(in[0]);
  T b = static_cast<T>(in[1]);
  if (auto result = compare(op, a, b)) {
    return result;
  }
  return as_double(arity(op) == 1 ? unary(op, a) : binary(op, a, b));
}

std::optional<double> logical(Op op, double a, double b) {
  switch (op) {
    case Op::Not:
      return a == 0;
    case Op::And:
      return a != 0 && b != 0;
    case Op::Or:
      return a != 0 || b != 0;
    default:
      return {};
  }
}

} // namespace

std::optional<double>
evaluate(Op op, Type from, const std::array<double, 3>& operands) {
  if (op == Op::Select) {
    return operands[0] != 0 ? operands[1] : operands[2];
  }
  switch (from) {
    case Type::Bool:
      return logical(op, operands[0], operands[1]);
    case Type::I32:
      return evaluate_as<int32_t>(op, operands);
    case Type::U32:
      return evaluate_as<uint32_t>(op, operands);
    case Type::I64:
      return evaluate_as<int64_t>(op, operands);
    case Type::U64:
      return evaluate_as<uint64_t>(op, operands);
    case Type::F32:
      return evaluate_as<float>(op, operands);
    case Type::F64:
      return evaluate_as<double>(op, operands);
    default:
      return {};
  }
}

namespace {

struct Range {
  double low;
  double high;
};

Range range_of(Type type) {
  double bits = 8.0 * static_cast<double>(size_of(type));
  bool has_sign = type == Type::I8 || type == Type::I16 || type == Type::I32 ||
      type == Type::I64;
  return has_sign ? Range{-std::exp2(bits - 1), std::exp2(bits - 1) - 1}
                  : Range{0, std::exp2(bits) - 1};
}

// Nearest value of `digits` binary digits, none smaller than 2^lowest apart;
// ties to even.
double round_digits(double value, int digits, int lowest, double largest) {
  if (value == 0 || !std::isfinite(value)) {
    return value;
  }
  int exponent = 0;
  std::frexp(value, &exponent);
  int quantum = std::max(exponent - digits, lowest);
  double rounded =
      std::ldexp(std::nearbyint(std::ldexp(value, -quantum)), quantum);
  return std::abs(rounded) > largest
      ? std::copysign(std::numeric_limits<double>::infinity(), value)
      : rounded;
}

} // namespace

std::optional<double> convert(double value, Type to) {
  if (to == Type::F64) {
    return value;
  }
  if (to == Type::F32) {
    return static_cast<float>(value);
  }
  if (to == Type::Bool) {
    return value != 0;
  }
  double whole = std::trunc(value);
  Range range = range_of(to);
  if (!(whole >= range.low && whole <= range.high) ||
      std::abs(whole) > 0x1p53) {
    return {};
  }
  return whole;
}

std::optional<double> round_to(Type type, double value) {
  switch (type) {
    case Type::F16:
      return round_digits(static_cast<float>(value), 11, -24, 65504);
    case Type::BF16:
      return round_digits(static_cast<float>(value), 8, -133, 0x1.FEp127);
    default:
      return convert(value, type);
  }
}

namespace {

bool all_integers(Op op, const std::array<Number, 3>& operands) {
  for (int k = op == Op::Select ? 1 : 0; k < arity(op); ++k) {
    if (!operands[k].integer) {
      return false;
    }
  }
  return true;
}

} // namespace

std::optional<Number> among_numbers(
    Op op,
    const std::array<Number, 3>& operands) {
  const std::array<double, 3> values = {
      operands[0].value, operands[1].value, operands[2].value};
  const bool integers = all_integers(op, operands);
  if (op >= Op::BitAnd && op <= Op::Shr && !integers) {
    throw user_error(
        "{} needs integers, got numbers with a point", name_of(op));
  }
  if (op == Op::Not || op == Op::And || op == Op::Or) {
    return Number{*evaluate(op, Type::Bool, values), true};
  }
  if ((op == Op::Floor || op == Op::Ceil || op == Op::Round) && integers) {
    return operands[0];
  }
  const bool float_function = op >= Op::Exp && op <= Op::Erf;
  if (integers && !float_function) {
    if (auto result = evaluate(op, Type::I64, values)) {
      return Number{*result, true};
    }
  }
  const auto result = evaluate(op, Type::F64, values);
  const bool truth = op >= Op::Less && op <= Op::NotEqual;
  return result ? std::optional(Number{*result, truth}) : std::nullopt;
}

} // namespace zmlx::lang::lower_detail
