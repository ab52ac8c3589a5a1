#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "zmlx/export.h"
#include "zmlx/lang/kernel.h"

namespace zmlx::lang {

struct NamedValue {
  std::string name;
  Expr value;
};

/// A part of a text, in bytes.
struct Span {
  size_t offset = 0;
  size_t length = 0;
};
using Spans = std::unordered_map<const Node*, Span>;

/// How a formula is read.
struct ParseOptions {
  /// Who the formula is, in messages.
  std::string name = "formula";
  /// Whether an input may go unread, as in the gradient of x + y.
  bool unused_allowed = false;
  /// Values that the formula may name beside its inputs.
  std::vector<NamedValue> names = {};
  /// Ends the message about a name that is none of the inputs.
  std::string unknown_name = {};
  /// Filled, where given, with the part of the text that each operation was
  /// read from; the inputs and numbers have none.
  Spans* spans = nullptr;
};

/// Limits of a formula, so that bad text is refused at once.
inline constexpr size_t kMaxFormulaBytes = 256 * 1024;
inline constexpr int kMaxFormulaDepth = 256; // of parentheses and calls
inline constexpr size_t kMaxNameBytes = 64;

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
///   pi, FLT_MAX, M_PI_F and the like. See Expr(double) for their types.
/// - Functions: those of formula_functions(). metal:: and kk_ before a name
///   are left out, but metal::select(no, yes, condition) has Metal's order and
///   metal::round rounds halves away from 0 (round(x): to even).
/// - Conversions: (float)x, int(x), static_cast<float>(x), cast(int32, x);
///   rounding to a stored type as(float16, x), (half)x, to that of an input
///   as(input, x). T stands for the type that is stored: (T)x is x.
/// - T s = ...; auto s = ...; are let s = ...; a name is given once.
/// - Of a row: sum(x), mean(x), max_of(x), index(), width(), pick(x, i),
///   cumsum(x), cumsum(x, reverse, exclusive) with 0 or 1,
///   top_values(x, k), top_places(x, k).
/// - Of places: row_index(), extent(x, axis), random(seed), uniform(seed),
///   take(table, row). Of gradients: stop_gradient(x).
/// - Stages: product(x, w), product(x, w, scales, biases, bits, group_size),
///   attention(q, k, v, length, scale). Of a weight in another format (see
///   lang/formats.h) product(format, x, parts..., bits, group_size). A further
///   argument, an EachRow input, says which of several matrices a row takes.
///
/// An Element input that only take() reads gets the role that this needs: what
/// is taken from is a Table, what only its row depends on is an EachRow.
///
/// The text is parsed and nothing else: none of it reaches a compiler.
ZMLX_API Body parse(
    std::string_view text,
    const std::vector<Input>& inputs = {{"x", Role::Element}},
    const ParseOptions& options = {});

/// Reads "T s = sigmoid(x); T t = s * s;": definitions alone, whose values a
/// formula over the same inputs may name (ParseOptions::names). UserError as
/// parse().
ZMLX_API std::vector<NamedValue> parse_definitions(
    std::string_view text,
    const std::vector<Input>& inputs,
    const ParseOptions& options = {});

/// The usual inputs of a formula: arrays, then run-time numbers.
ZMLX_API std::vector<Input> formula_inputs(
    const std::vector<std::string>& arrays,
    const std::vector<std::string>& scalars = {});

/// Throws the UserError of a formula that was read and cannot be used: the
/// message with line, column, the line itself and carets below `where`.
[[noreturn]] ZMLX_API void fail_formula(
    std::string_view text,
    const std::string& name,
    Span where,
    std::string_view message);

/// Names of the functions that a formula may call, sorted.
ZMLX_API std::vector<std::string> formula_functions();

} // namespace zmlx::lang
