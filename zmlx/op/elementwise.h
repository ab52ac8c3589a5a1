#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "zmlx/op/op.h"

namespace zmlx::op {

/// A gradient by hand, as text: for the array at this place of
/// Formula::inputs, or for the input of this name.
struct Gradient {
  Gradient(const char* text) : text(text) {} // NOLINT
  Gradient(std::string text) : text(std::move(text)) {} // NOLINT
  Gradient(std::string input, std::string text)
      : input(std::move(input)), text(std::move(text)) {}

  std::string input = ""; // by its place where this is empty
  std::string text; // "" for the derived one
};

struct Formula {
  std::vector<std::string> inputs = {"x"}; // arrays, in the order of the call
  std::vector<std::string> scalars = {}; // run-time numbers, after the arrays
  std::string name = "formula"; // in messages and reports
  /// In place of those that are derived: one per array, or by name. Formulas
  /// over the inputs and the cotangent `g` of the only output; of several
  /// outputs `g_` and the output's name. Values have their names here too.
  std::vector<Gradient> gradients = {};
  /// Definitions before each of the gradients: "T s = kk_sigmoid(x);".
  std::string gradient_prelude = "";
  /// Whether gradients may call the only output `y`. An input or a value of
  /// that name hides it.
  bool use_output = true;
  /// Accepted for scripts of ZMLX 0.7: it may be empty or hold comments,
  /// #include and using lines, as kDefaultHeader. UserError where it has code.
  std::string header = "";
};

/// What msl.DEFAULT_HEADER is: kk_sigmoid and the like are words of the
/// language.
inline constexpr std::string_view kDefaultHeader =
    "#include <metal_stdlib>\nusing namespace metal;\n";

/// A kernel from text (lang/parse.h says what it may be); no compiler runs.
///
///   auto mish = zmlx::elementwise("x * tanh(log(1 + exp(x)))");
///   auto gate = zmlx::elementwise("silu(g) * u", {.inputs = {"g", "u"}});
///   mx::array y = gate(a, b);
///   auto silu = zmlx::elementwise("kk_silu(x)",
///       {.gradients = {"g * (s + x * s * ((T)1 - s))"},
///        .gradient_prelude = "T s = kk_sigmoid(x);"});
///
/// Gradients by hand are what vjp and grad use, and what second derivatives
/// differentiate; jvp and vmap differentiate the formula itself. A gradient of
/// an input that is broadcast is summed over the axes along which it is.
/// UserError, with line, column and a caret, for text that is no formula.
ZMLX_API BoundOp
elementwise(const std::string& text, const Formula& formula = {});

} // namespace zmlx::op

namespace zmlx {
using op::elementwise;
} // namespace zmlx
