#pragma once

#include <string>
#include <vector>

#include "zmlx/op/op.h"

namespace zmlx::op {

struct Formula {
  std::vector<std::string> inputs = {"x"}; // arrays, in the order of the call
  std::vector<std::string> scalars = {}; // run-time numbers, after the arrays
  std::string name = "formula"; // in messages and reports
};

/// A kernel from text (lang/parse.h says what it may be); no compiler runs.
///
///   auto mish = zmlx::elementwise("x * tanh(log(1 + exp(x)))");
///   auto gate = zmlx::elementwise("silu(g) * u", {.inputs = {"g", "u"}});
///   mx::array y = gate(a, b);
///
/// UserError, with line, column and a caret, for text that is no formula.
ZMLX_API BoundOp
elementwise(const std::string& text, const Formula& formula = {});

} // namespace zmlx::op

namespace zmlx {
using op::elementwise;
} // namespace zmlx
