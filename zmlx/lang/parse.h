#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "zmlx/export.h"
#include "zmlx/lang/kernel.h"

namespace zmlx::lang {

/// How a formula is read.
struct ParseOptions {
  /// Who the formula is, in messages.
  std::string name = "formula";
  /// Whether an input may go unread, as in the gradient of x + y.
  bool unused_allowed = false;
};

/// Limits of a formula, so that bad text is refused at once.
inline constexpr size_t kMaxFormulaBytes = 256 * 1024;
inline constexpr int kMaxFormulaDepth = 256; // of parentheses and calls

/// Reads a formula over these inputs. UserError, with line, column, the line
/// itself and a caret, for text that is none.
///
///   silu(g) * u                        one output, "out"
///   let s = sigmoid(x); x * s          names for values
///   y = a + b; z = y * b               several outputs, usable as names
///   c ? a : b    select(c, a, b)       and C's operators with C's precedence:
///   || && | ^ & == != < <= > >= << >> + - * / % unary - + ! ~
///
/// - Numbers: 1 is an integer, 1.0 1e-5 0.0f are not; 0x1F; inf INFINITY nan;
///   pi. See Expr(double) for their types.
/// - Functions: those of formula_functions(). metal:: and kk_ before a name
///   are left out.
/// - Conversions: (float)x, int(x), cast(int32, x); rounding to a stored type
///   as(float16, x), (half)x, to that of an input as(input, x). T stands for
///   the type that is stored: (T)x is x.
/// - T s = ...; auto s = ...; are let s = ...;
/// - Of a row: sum(x), mean(x), max_of(x), index(), width(), pick(x, i).
/// - Stages: product(x, w), product(x, w, scales, biases, bits, group_size),
///   attention(q, k, v, length, scale).
///
/// The text is parsed and nothing else: none of it reaches a compiler.
ZMLX_API Body parse(
    std::string_view text,
    const std::vector<Input>& inputs = {{"x", Role::Element}},
    const ParseOptions& options = {});

/// The usual inputs of a formula: arrays, then run-time numbers.
ZMLX_API std::vector<Input> formula_inputs(
    const std::vector<std::string>& arrays,
    const std::vector<std::string>& scalars = {});

/// Names of the functions that a formula may call, sorted.
ZMLX_API std::vector<std::string> formula_functions();

} // namespace zmlx::lang
