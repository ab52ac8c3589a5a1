#include "zmlx/op/reference_maps.h"

#include <array>

#include "zmlx/base/errors.h"
#include "zmlx/lang/operations.h"
#include "zmlx/op/exact.h"
#include "zmlx/op/reference_integers.h"

namespace zmlx::op {

namespace {

using lang::Op;
using lang::TypeRule;
using lang::lower_detail::Number;

template <mx::array (*function)(const mx::array&, mx::StreamOrDevice)>
mx::array one(const mx::array& x, const Conversions& c) {
  return function(x, c.stream());
}

template <mx::array (
    *function)(const mx::array&, const mx::array&, mx::StreamOrDevice)>
mx::array two(const mx::array& a, const mx::array& b, const Conversions& c) {
  return function(a, b, c.stream());
}

/// MLX's float64 is no more exact than float32 for these (op/exact.h).
template <Op op, mx::array (*function)(const mx::array&, mx::StreamOrDevice)>
mx::array exactly(const mx::array& x, const Conversions& c) {
  return c.precise() ? exact(op, x, c.stream()) : function(x, c.stream());
}

/// Integers need another function.
template <
    mx::array (
        *function)(const mx::array&, const mx::array&, mx::StreamOrDevice),
    mx::array (*of_integers)(const mx::array&, const mx::array&, mx::Stream)>
mx::array
by_type(const mx::array& a, const mx::array& b, const Conversions& c) {
  return mx::issubdtype(a.dtype(), mx::floating)
      ? function(a, b, c.stream())
      : of_integers(a, b, c.stream());
}

mx::array reciprocal_root(const mx::array& x, const Conversions& c) {
  const auto s = c.stream();
  return mx::divide(mx::array(1.0, x.dtype()), mx::sqrt(x, s), s);
}

mx::array round_even(const mx::array& x, const Conversions& c) {
  return mx::round(x, 0, c.stream());
}

// Exact for both signs (mx::sigmoid is 1 - y for the negative ones), with
// finite parts in the branch not taken, so that gradients stay finite.
mx::array sigmoid(const mx::array& x, const Conversions& c) {
  const auto s = c.stream();
  const mx::array zero(0.0, x.dtype()), unit(1.0, x.dtype());
  const auto exponential = exactly<Op::Exp, mx::exp>;
  const auto positive = mx::greater_equal(x, zero, s);
  const auto e_minus =
      exponential(mx::negative(mx::where(positive, x, zero, s), s), c);
  const auto e_plus = exponential(mx::where(positive, zero, x, s), c);
  return mx::where(
      positive,
      mx::divide(unit, mx::add(unit, e_minus, s), s),
      mx::divide(e_plus, mx::add(unit, e_plus, s), s),
      s);
}

// clang-format off
constexpr MlxFunction kFunctions[] = {
    {Op::Neg, one<mx::negative>, nullptr, "Negative"},
    {Op::Abs, one<mx::abs>, nullptr, "Abs"},
    {Op::Exp, exactly<Op::Exp, mx::exp>, nullptr, "Exp"},
    {Op::Expm1, one<mx::expm1>, nullptr, "Expm1"},
    {Op::Log, one<mx::log>, nullptr, "Log"},
    {Op::Log1p, one<mx::log1p>, nullptr, "Log1p"},
    {Op::Sqrt, one<mx::sqrt>, nullptr, "Sqrt"},
    {Op::Rsqrt, reciprocal_root, nullptr, "Rsqrt"},
    {Op::Sin, exactly<Op::Sin, mx::sin>, nullptr, "Sin"},
    {Op::Cos, exactly<Op::Cos, mx::cos>, nullptr, "Cos"},
    {Op::Tanh, one<mx::tanh>, nullptr, "Tanh"},
    {Op::Sigmoid, sigmoid, nullptr, "Sigmoid"},
    {Op::Erf, exactly<Op::Erf, mx::erf>, nullptr, "Erf"},
    {Op::Floor, one<mx::floor>, nullptr, "Floor"},
    {Op::Ceil, one<mx::ceil>, nullptr, "Ceil"},
    {Op::Round, round_even, nullptr},
    {Op::Not, one<mx::logical_not>, nullptr, "LogicalNot"},
    {Op::Add, nullptr, two<mx::add>, "Add"},
    {Op::Sub, nullptr, two<mx::subtract>, "Subtract"},
    {Op::Mul, nullptr, two<mx::multiply>, "Multiply"},
    {Op::Div, nullptr, by_type<mx::divide, divide_integers>, "Divide"},
    {Op::Mod, nullptr, by_type<mx::remainder, modulo_integers>},
    {Op::Pow, nullptr, by_type<mx::power, power_of_integers>, "Power"},
    {Op::Max, nullptr, two<mx::maximum>, "Maximum"},
    {Op::Min, nullptr, two<mx::minimum>, "Minimum"},
    {Op::And, nullptr, two<mx::logical_and>, "LogicalAnd"},
    {Op::Or, nullptr, two<mx::logical_or>, "LogicalOr"},
    {Op::BitAnd, nullptr, two<mx::bitwise_and>},
    {Op::BitOr, nullptr, two<mx::bitwise_or>},
    {Op::BitXor, nullptr, two<mx::bitwise_xor>},
    {Op::Shl, nullptr, two<mx::left_shift>},
    {Op::Shr, nullptr, two<mx::right_shift>},
    {Op::Less, nullptr, two<mx::less>, "Less"},
    {Op::LessEqual, nullptr, two<mx::less_equal>, "LessEqual"},
    {Op::Equal, nullptr, two<mx::equal>},
    {Op::NotEqual, nullptr, two<mx::not_equal>, "NotEqual"},
};
// clang-format on

const MlxFunction& function_of(Op op) {
  for (const MlxFunction& function : kFunctions) {
    if (function.op == op) {
      return function;
    }
  }
  throw internal_error("reference: no rule for '{}'", lang::name_of(op));
}

} // namespace

std::span<const MlxFunction> mlx_functions() {
  return kFunctions;
}

Value unary(Op op, lang::Type to, const Value& v, const Conversions& c) {
  const auto own = c.own_type(v);
  switch (op) {
    case Op::As: {
      const bool becomes_float =
          lang::is_float(to) && !mx::issubdtype(own, mx::floating);
      const auto back = becomes_float ? c.compute(to) : own;
      return {c.converted(c.stored(c.array_of(v), to), back), {}};
    }
    case Op::Real:
      return {c.real(v), {}};
    case Op::Cast:
      return to == lang::Type::Bool ? c.from_truth(c.truth(v))
                                    : Value{c.array_of(v, c.compute(to)), {}};
    default:
      break;
  }
  const auto function = function_of(op).one;
  switch (lang::operation(op).types) {
    case TypeRule::Logical:
      return c.from_truth(function(c.truth(v), c));
    case TypeRule::Float:
      return {function(c.floating(v), c), {}};
    case TypeRule::Rounding:
      return {
          mx::issubdtype(own, mx::floating) ? function(c.array_of(v), c)
                                            : c.array_of(v),
          {}};
    default:
      return {function(c.array_of(v), c), {}};
  }
}

Value logical(Op op, const Value& a, const Value& b, const Conversions& c) {
  return c.from_truth(function_of(op).two(c.truth(a), c.truth(b), c));
}

Value binary(
    Op op,
    lang::Type operands,
    const Value& a,
    const Value& b,
    const Conversions& c) {
  const auto type = c.compute(operands);
  const auto result =
      function_of(op).two(c.array_of(a, type), c.array_of(b, type), c);
  return lang::operation(op).types == TypeRule::Comparison
      ? c.from_truth(result)
      : Value{result, {}};
}

Value select(
    lang::Type operands,
    const Value& condition,
    const Value& a,
    const Value& b,
    const Conversions& c) {
  const auto type = c.compute(operands);
  return {
      mx::where(
          c.truth(condition),
          c.array_of(a, type),
          c.array_of(b, type),
          c.stream()),
      {}};
}

std::optional<Number> among_numbers(
    const lang::Node& n,
    lang::Type to,
    std::span<const Value> operands) {
  std::array<Number, 3> numbers{};
  for (size_t i = 0; i < operands.size(); ++i) {
    if (!operands[i].constant) {
      return std::nullopt;
    }
    numbers[i] = *operands[i].constant;
  }
  switch (n.op) {
    case Op::Cast:
      return std::nullopt;
    case Op::Real:
      return Number{numbers[0].value, false};
    case Op::As: // infer_types() says so where it does not fit
      return Number{
          *lang::lower_detail::round_to(to, numbers[0].value),
          numbers[0].integer && !lang::is_float(to)};
    default:
      return lang::lower_detail::among_numbers(n.op, numbers);
  }
}

} // namespace zmlx::op
