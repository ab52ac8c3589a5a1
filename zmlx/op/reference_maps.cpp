#include "zmlx/op/reference_maps.h"

#include <array>

#include "zmlx/base/errors.h"
#include "zmlx/op/exact.h"
#include "zmlx/op/reference_integers.h"

namespace zmlx::op {

namespace {

using lang::Op;
using lang::lower_detail::Number;

mx::array transcendental(Op op, const mx::array& x, const Conversions& c);

// Exact for both signs (mx::sigmoid is 1 - y for the negative ones), with
// finite parts in the branch not taken, so that gradients stay finite.
mx::array sigmoid(const mx::array& x, const Conversions& c) {
  const auto s = c.stream();
  const mx::array zero(0.0, x.dtype()), one(1.0, x.dtype());
  const auto positive = mx::greater_equal(x, zero, s);
  const auto e_minus = transcendental(
      Op::Exp, mx::negative(mx::where(positive, x, zero, s), s), c);
  const auto e_plus =
      transcendental(Op::Exp, mx::where(positive, zero, x, s), c);
  return mx::where(
      positive,
      mx::divide(one, mx::add(one, e_minus, s), s),
      mx::divide(e_plus, mx::add(one, e_plus, s), s),
      s);
}

mx::array transcendental(Op op, const mx::array& x, const Conversions& c) {
  const auto s = c.stream();
  switch (op) {
    case Op::Exp:
      return c.precise() ? exact(op, x, s) : mx::exp(x, s);
    case Op::Sin:
      return c.precise() ? exact(op, x, s) : mx::sin(x, s);
    case Op::Cos:
      return c.precise() ? exact(op, x, s) : mx::cos(x, s);
    case Op::Erf:
      return c.precise() ? exact(op, x, s) : mx::erf(x, s);
    case Op::Expm1:
      return mx::expm1(x, s);
    case Op::Log:
      return mx::log(x, s);
    case Op::Log1p:
      return mx::log1p(x, s);
    case Op::Sqrt:
      return mx::sqrt(x, s);
    case Op::Rsqrt:
      return mx::divide(mx::array(1.0, x.dtype()), mx::sqrt(x, s), s);
    case Op::Tanh:
      return mx::tanh(x, s);
    case Op::Sigmoid:
      return sigmoid(x, c);
    default:
      throw internal_error("reference: no rule for '{}'", lang::name_of(op));
  }
}

mx::array
arithmetic(Op op, const mx::array& a, const mx::array& b, mx::Stream s) {
  const bool integer = !mx::issubdtype(a.dtype(), mx::floating);
  switch (op) {
    case Op::Add:
      return mx::add(a, b, s);
    case Op::Sub:
      return mx::subtract(a, b, s);
    case Op::Mul:
      return mx::multiply(a, b, s);
    case Op::Div:
      return integer ? divide_integers(a, b, s) : mx::divide(a, b, s);
    case Op::Mod:
      return integer ? modulo_integers(a, b, s) : mx::remainder(a, b, s);
    case Op::Pow:
      return integer ? power_of_integers(a, b, s) : mx::power(a, b, s);
    case Op::Max:
      return mx::maximum(a, b, s);
    case Op::Min:
      return mx::minimum(a, b, s);
    case Op::BitAnd:
      return mx::bitwise_and(a, b, s);
    case Op::BitOr:
      return mx::bitwise_or(a, b, s);
    case Op::BitXor:
      return mx::bitwise_xor(a, b, s);
    case Op::Shl:
      return mx::left_shift(a, b, s);
    case Op::Shr:
      return mx::right_shift(a, b, s);
    default:
      throw internal_error("reference: no rule for '{}'", lang::name_of(op));
  }
}

// Nothing for other operations.
std::optional<mx::array>
comparison(Op op, const mx::array& a, const mx::array& b, mx::Stream s) {
  switch (op) {
    case Op::Less:
      return mx::less(a, b, s);
    case Op::LessEqual:
      return mx::less_equal(a, b, s);
    case Op::Equal:
      return mx::equal(a, b, s);
    case Op::NotEqual:
      return mx::not_equal(a, b, s);
    default:
      return std::nullopt;
  }
}

} // namespace

Value unary(Op op, lang::Type to, const Value& v, const Conversions& c) {
  const auto s = c.stream();
  const auto own = c.own_type(v);
  const bool integer = !mx::issubdtype(own, mx::floating);
  switch (op) {
    case Op::As:
      return {c.converted(c.stored(c.array_of(v), to), own), {}};
    case Op::Cast:
      return {c.array_of(v, c.compute(to)), {}};
    case Op::Neg:
      return {mx::negative(c.array_of(v), s), {}};
    case Op::Abs:
      return {mx::abs(c.array_of(v), s), {}};
    case Op::Not:
      return c.from_truth(mx::logical_not(c.truth(v), s));
    case Op::Floor:
      return {integer ? c.array_of(v) : mx::floor(c.array_of(v), s), {}};
    case Op::Ceil:
      return {integer ? c.array_of(v) : mx::ceil(c.array_of(v), s), {}};
    case Op::Round:
      return {integer ? c.array_of(v) : mx::round(c.array_of(v), 0, s), {}};
    default:
      return {transcendental(op, c.floating(v), c), {}};
  }
}

Value binary(Op op, const Value& va, const Value& vb, const Conversions& c) {
  const auto s = c.stream();
  if (op == Op::And) {
    return c.from_truth(mx::logical_and(c.truth(va), c.truth(vb), s));
  }
  if (op == Op::Or) {
    return c.from_truth(mx::logical_or(c.truth(va), c.truth(vb), s));
  }
  const auto type = c.common(va, vb);
  const auto a = c.array_of(va, type), b = c.array_of(vb, type);
  if (const auto truth = comparison(op, a, b, s)) {
    return c.from_truth(*truth);
  }
  return {arithmetic(op, a, b, s), {}};
}

Value select(
    const Value& condition,
    const Value& a,
    const Value& b,
    const Conversions& c) {
  const auto type = c.common(a, b);
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
    case Op::As: // infer_types() says so where it does not fit
      return Number{
          *lang::lower_detail::round_to(to, numbers[0].value),
          numbers[0].integer};
    default:
      return lang::lower_detail::among_numbers(n.op, numbers);
  }
}

} // namespace zmlx::op
