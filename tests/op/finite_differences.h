#pragma once

#include <vector>

#include <mlx/mlx.h>

#include "zmlx/lang/kernel.h"

namespace zmlx::op::test {

namespace mx = mlx::core;

/// Central differences of sum over outputs of <cotangent, output> by one input,
/// in float64 on the reference. Richardson's extrapolation of two steps; how
/// far the two are apart, and what rounding leaves, bound the error.
struct Differences {
  std::vector<double> values; // row-major
  std::vector<double> errors;
};

/// Inputs and cotangents are float64 where they are floats; the input is.
Differences differences(
    const lang::Body& body,
    const std::vector<mx::array>& inputs,
    const std::vector<mx::array>& cotangents,
    int input);

/// An array of float64 from low to high, unlike for each `number`.
mx::array spread(const mx::Shape& shape, double low, double high, int number);

/// Holds lang::derive(body), by all of its float64 inputs, against
/// differences(). `inputs` are float64 or integers.
void expect_gradients(
    const lang::Body& body,
    const std::vector<mx::array>& inputs);

/// The same for the gradients' own gradients.
void expect_second_gradients(
    const lang::Body& body,
    const std::vector<mx::array>& inputs);

} // namespace zmlx::op::test
