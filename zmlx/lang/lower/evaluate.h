#pragma once

#include <array>
#include <optional>

#include "zmlx/lang/expr.h"

namespace zmlx::lang::lower_detail {

/// op on constants, in the arithmetic of `from` (Select: the first is a Bool).
/// Nothing where the result has no meaning or is not held by a double.
/// Casts: see convert.
std::optional<double>
evaluate(Op op, Type from, const std::array<double, 3>& operands);

/// A value of `from` as one of `to`, compute types, as C++ converts. Nothing
/// where C++ does not say what comes out.
std::optional<double> convert(double value, Type to);

/// A value rounded to a stored type. Nothing as above.
std::optional<double> round_to(Type type, double value);

/// A number of a formula that has not met a type yet.
struct Number {
  double value = 0;
  bool integer = false; // as it was written, or made of such
};

/// An operation on numbers alone: in double, integers as integers where that
/// has a result. Nothing where there is none. UserError for the bits of numbers
/// with a point.
std::optional<Number> among_numbers(
    Op op,
    const std::array<Number, 3>& operands);

} // namespace zmlx::lang::lower_detail
