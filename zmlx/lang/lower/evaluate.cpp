#include "zmlx/lang/lower/evaluate.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "zmlx/base/errors.h"
#include "zmlx/lang/operation_table.h"

namespace zmlx::lang::lower_detail {
namespace {

using operation_table::has_value;
using operation_table::kRows;

/// Whether C++ and all devices agree on what comes out.
template <typename T>
bool is_defined(Op op, T b) {
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    if (op == Op::Pow) {
      return b >= 0;
    }
    if (op == Op::Shl || op == Op::Shr) {
      return b >= 0 && static_cast<uint64_t>(b) < sizeof(T) * 8;
    }
  }
  return true;
}

template <typename T>
std::optional<double> as_double(T result) {
  const double value = static_cast<double>(result);
  if constexpr (std::is_integral_v<T> && sizeof(T) == 8) {
    if (std::abs(value) > 0x1p53) {
      return {};
    }
  }
  return value;
}

template <typename T, size_t I>
std::optional<double> value_of(double a, double b) {
  constexpr const auto& row = std::get<I>(kRows);
  if constexpr (has_value<I, T>()) {
    const T x = static_cast<T>(a);
    const T y = static_cast<T>(b);
    if (!is_defined(row.op, y)) {
      return {};
    }
    if constexpr (row.arity == 1) {
      return as_double(row.value(x));
    } else {
      return as_double(row.value(x, y));
    }
  }
  return {};
}

/// The value functions of all operations, in the order of Op.
template <typename T, size_t... I>
constexpr auto values_of(std::index_sequence<I...> /*all*/) {
  using Function = std::optional<double> (*)(double, double);
  return std::array<Function, sizeof...(I)>{&value_of<T, I>...};
}

template <typename T>
std::optional<double> evaluate_as(Op op, const std::array<double, 3>& in) {
  static constexpr auto kValues =
      values_of<T>(std::make_index_sequence<kOperations>());
  return kValues[static_cast<size_t>(op)](in[0], in[1]);
}

} // namespace

std::optional<double>
evaluate(Op op, Type from, const std::array<double, 3>& operands) {
  if (op == Op::Select) {
    return operands[0] != 0 ? operands[1] : operands[2];
  }
  switch (from) {
    case Type::Bool:
      return evaluate_as<bool>(op, operands);
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
  return is_signed(type) ? Range{-std::exp2(bits - 1), std::exp2(bits - 1) - 1}
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
  const TypeRule rule = operation(op).types;
  if (rule == TypeRule::Integer && !integers) {
    throw user_error(
        "{} needs integers, got numbers with a point", name_of(op));
  }
  if (rule == TypeRule::Logical) {
    return Number{*evaluate(op, Type::Bool, values), true};
  }
  if (rule == TypeRule::Rounding && integers) {
    return operands[0];
  }
  if (integers && rule != TypeRule::Float) {
    if (auto result = evaluate(op, Type::I64, values)) {
      return Number{*result, true};
    }
  }
  const auto result = evaluate(op, Type::F64, values);
  const bool truth = rule == TypeRule::Comparison;
  return result ? std::optional(Number{*result, truth}) : std::nullopt;
}

} // namespace zmlx::lang::lower_detail
