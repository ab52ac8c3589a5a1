#include "zmlx/op/elementwise.h"

#include "zmlx/lang/parse.h"

namespace zmlx::op {

BoundOp elementwise(const std::string& text, const Formula& formula) {
  const auto inputs = lang::formula_inputs(formula.inputs, formula.scalars);
  return BoundOp(make_call(
      formula.name, lang::parse(text, inputs, {.name = formula.name})));
}

} // namespace zmlx::op
