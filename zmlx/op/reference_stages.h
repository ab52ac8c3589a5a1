#pragma once

#include <vector>

#include <mlx/mlx.h>

#include "zmlx/lang/expr.h"

/// The stages with a hand-written body, as MLX operations of type `compute`
/// (float32 or float64).
namespace zmlx::op {

namespace mx = mlx::core;

/// The weight as a matrix (M, K), or as E of them (E, M, K).
mx::array unpacked(
    const lang::Weight& weight,
    const std::vector<mx::array>& inputs,
    mx::Dtype compute,
    mx::Stream stream);

/// row (..., K), in the shape of the places, times the transpose of the weight:
/// (..., M). 0 where a row names no matrix.
mx::array times_weight(
    const mx::array& row,
    const lang::Weight& weight,
    const std::vector<mx::array>& inputs,
    mx::Dtype compute,
    mx::Stream stream);

/// softmax(scale q k^T) v over the first `length` keys; shapes as
/// lang::attention.
mx::array attend(
    const mx::array& q,
    const mx::array& k,
    const mx::array& v,
    const mx::array& length,
    double scale,
    mx::Dtype compute,
    mx::Stream stream);

} // namespace zmlx::op
