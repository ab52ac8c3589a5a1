#pragma once

#include <optional>
#include <span>

#include "zmlx/lang/expr.h"
#include "zmlx/op/reference_values.h"

/// What an operation does at one place by itself, on values of one space.
namespace zmlx::op {

/// How MLX says an operation of the language that is a map of one or two
/// operands. The operands are arrays of the types that the operation's TypeRule
/// asks for.
struct MlxFunction {
  lang::Op op;
  mx::array (*one)(const mx::array& x, const Conversions& c);
  mx::array (
      *two)(const mx::array& a, const mx::array& b, const Conversions& c);
  /// The name of the primitive that is this operation and nothing else, by
  /// which a captured graph is read; null where there is none.
  const char* primitive = nullptr;
};

std::span<const MlxFunction> mlx_functions();

/// An operation of one operand; `to` is the type of Op::As and Op::Cast.
Value unary(lang::Op op, lang::Type to, const Value& v, const Conversions& c);

/// An operation of two truth values.
Value logical(
    lang::Op op,
    const Value& a,
    const Value& b,
    const Conversions& c);

/// Another operation of two operands, which meet in the compute type
/// `operands`.
Value binary(
    lang::Op op,
    lang::Type operands,
    const Value& a,
    const Value& b,
    const Conversions& c);

/// a where `condition` holds, else b; both in the compute type `operands`.
Value select(
    lang::Type operands,
    const Value& condition,
    const Value& a,
    const Value& b,
    const Conversions& c);

/// What an operation on numbers alone gives, which is a number again. Nothing
/// where an operand is an array, and for a cast, which gives a number a type.
/// `to` is the type of Op::As, which the number fits.
std::optional<lang::lower_detail::Number> among_numbers(
    const lang::Node& n,
    lang::Type to,
    std::span<const Value> operands);

} // namespace zmlx::op
