#pragma once

#include <string>
#include <vector>

#include "zmlx/lab/case_inputs.h"
#include "zmlx/lab/check_values.h"

/// Parts of check.h: gradients.
namespace zmlx::lab {

/// Which inputs of a body have a gradient that is a kernel.
struct GradientSplit {
  std::vector<int> by_kernel;
  std::vector<int> otherwise; // MLX's autodiff of the reference
};

/// Of the inputs `wanted`; enters names and reasons into `found`.
GradientSplit split_gradients(
    const op::Call& call,
    const std::vector<int>& wanted,
    KernelCheck& found);

/// The gradients of `wanted`, which are kernels, through mx::vjp, together,
/// against the body of each in float64.
/// `layout` is that of the cotangents.
void check_gradient_kernel(
    const std::shared_ptr<const op::Call>& call,
    const std::vector<int>& wanted,
    const std::vector<mx::array>& inputs,
    Layout layout,
    const std::string& where,
    KernelCheck& found);

/// Whether a gradient divides by what a reduction of a row is part of, as by a
/// norm, which may be 0.
bool divides_by_rows(const lang::Body& gradient);

/// The gradients of `wanted` are finite, unless an output is not.
void check_finite_gradient(
    const std::shared_ptr<const op::Call>& call,
    const std::vector<int>& wanted,
    const std::vector<mx::array>& inputs,
    const std::string& where,
    KernelCheck& found);

/// The gradients of all of `split` against differences; `inputs` in float32.
/// Nothing where there are no outputs, or some are not finite.
void check_by_differences(
    const std::shared_ptr<const op::Call>& call,
    const GradientSplit& split,
    const std::vector<mx::array>& inputs,
    const std::string& where,
    KernelCheck& found);

/// mx::vjp of a call for some inputs.
std::vector<mx::array> vjp_of(
    const std::shared_ptr<const op::Call>& call,
    const std::vector<int>& wanted,
    const std::vector<mx::array>& inputs,
    const std::vector<mx::array>& cotangents,
    mx::StreamOrDevice stream = {});

/// Cotangents for the outputs of a body on these inputs: evenly drawn from -1
/// to 1, 0 for outputs of whole numbers.
std::vector<mx::array> cotangents_of(
    const lang::Body& body,
    const std::vector<mx::array>& inputs,
    Layout layout);

} // namespace zmlx::lab
