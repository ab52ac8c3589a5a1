#pragma once

#include <vector>

#include <mlx/mlx.h>

#include "zmlx/export.h"
#include "zmlx/lang/kernel.h"

namespace zmlx::op {

namespace mx = mlx::core;

/// The arithmetic of a reference evaluation.
enum class Precision {
  /// As the language says: float32 for float16, bfloat16 and float32, float64
  /// for float64, integers as integers.
  Compute,
  /// Every float is float64, on the CPU; outputs of a float type stay float64
  /// and As(T) still rounds to T. The oracle of tests.
  Double,
};

/// Evaluates the trees of a body, before lowering, as MLX operations: what a
/// kernel means, and what grad, jvp and the last fallback use. Outputs
/// have the types of infer_types(body, ...) and the shapes of infer_shapes.
/// Differentiable; evaluates nothing.
ZMLX_API std::vector<mx::array> reference(
    const lang::Body& body,
    const std::vector<mx::array>& inputs,
    Precision precision = Precision::Compute,
    mx::StreamOrDevice stream = {});

} // namespace zmlx::op
