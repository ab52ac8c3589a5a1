#pragma once

#include <optional>
#include <vector>

#include "zmlx/lang/kernel.h"
#include "zmlx/lang/operations.h"

/// In which types results are stored, which are narrower than those they are
/// computed in.
namespace zmlx::lang::lower_detail {

/// The type in which MLX would store a value; none for what is made of numbers
/// and comparisons alone, which takes the type of what it meets.
using Stored = std::optional<Type>;

/// That of an operation whose rule is not TypeRule::Own, on values computed in
/// `computed`. Arithmetic on booleans is stored as int32.
Stored stored_type(
    const Operation& operation,
    const std::vector<Stored>& operands,
    Type computed);

/// That of either of two values; the type of one beside a number.
Stored either(const Stored& a, const Stored& b);

/// A value that becomes an output.
struct OutputValue {
  Type computed;
  Stored stored;
};

/// The types of the outputs with these values, as Output says.
std::vector<Type> output_types(
    const Body& body,
    const std::vector<Type>& inputs,
    const std::vector<OutputValue>& values);

} // namespace zmlx::lang::lower_detail
