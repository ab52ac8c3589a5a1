#pragma once

#include <mlx/mlx.h>

/// Operations on integers that MLX does in another way, or not at all: its
/// division rounds down and, as the rest of one, faults on zero and on the
/// least integer by -1; its powers with a negative exponent are 0.
namespace zmlx::op {

namespace mx = mlx::core;

/// Towards zero; 0 by zero.
mx::array
divide_integers(const mx::array& a, const mx::array& b, mx::Stream stream);

/// 0 by zero.
mx::array
modulo_integers(const mx::array& a, const mx::array& b, mx::Stream stream);

mx::array
power_of_integers(const mx::array& a, const mx::array& b, mx::Stream stream);

} // namespace zmlx::op
