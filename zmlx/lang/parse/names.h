#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "zmlx/lang/expr.h"

namespace zmlx::lang::parse_detail {

using Args = std::vector<Expr>;

/// A function that formulas may call with `least` to `most` arguments.
struct Function {
  std::string_view name;
  int least;
  int most;
  Expr (*build)(const Args&);
};

/// "kk_silu" is "silu".
std::string_view function_name(std::string_view written);

/// Nothing for a name that is no function. What `metal` namespace means where
/// that differs from ours: select(no, yes, condition), round half away from 0.
const Function* find_function(std::string_view name, bool metal = false);

/// Whether a name is a function whose operands are more than values: a type,
/// an input, a number. Parser::special_call reads them.
bool is_special(std::string_view name);

/// Whether a name, as it is written, is one of the functions.
bool is_function(std::string_view written);

/// How a formula names a type: "float", "half", "int32". Nothing for T and for
/// what is no type.
std::optional<Type> find_type(std::string_view name);

/// x as C's cast to the type gives it: rounded for 16-bit floats, != 0 for
/// bool.
Expr converted(Type type, const Expr& x);

/// Names that stand for numbers: inf, nan, pi.
std::optional<double> find_constant(std::string_view name);

/// Words that no input, value or output may be called.
bool is_reserved(std::string_view name);

} // namespace zmlx::lang::parse_detail
