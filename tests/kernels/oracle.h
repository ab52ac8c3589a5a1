#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include <mlx/mlx.h>

#include "zmlx/measure/tolerance.h"
#include "zmlx/op/op.h"

/// Values and gradients of kernels against MLX's own operations in float64.
namespace zmlx::kernels::test {

namespace mx = mlx::core;

using Arrays = std::vector<mx::array>;

/// The results of a kernel in MLX's own operations, given its inputs in
/// float64 (integers as they are). `stored` is the type that the kernel's
/// inputs have.
using Oracle = std::function<Arrays(
    const Arrays& inputs,
    const lang::Attributes& attributes,
    mx::Dtype stored)>;

struct Checked {
  const op::Op* kernel;
  Oracle oracle; // empty: the kernel's own composition, op::Op::mlx
  measure::OpClass values = measure::OpClass::row;
  std::vector<mx::Dtype> types = {mx::float32, mx::float16, mx::bfloat16};
};

inline void PrintTo(const Checked& checked, std::ostream* out) {
  *out << checked.kernel->name();
}

/// The largest absolute value.
double largest(const mx::array& a);

/// Whether an input has no elements: MLX has no gradient of some of these.
bool is_empty(const lang::Case& c);

/// Random inputs of a case, the same in every run.
Arrays
inputs_of(const lang::Define& kernel, const lang::Case& c, mx::Dtype type);

/// Values of the inputs as they were with floats in float64.
Arrays in_float64(const Arrays& arrays);

/// Every case that has elements, in every type: the results, and the gradient
/// of all float inputs together, which is a kernel and not a fallback.
void expect_equals_oracle(const Checked& checked);

} // namespace zmlx::kernels::test
