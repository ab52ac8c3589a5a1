#pragma once

#include <cstddef>
#include <cstdint>

#include "zmlx/backend/stages/product/formats.h"
#include "zmlx/export.h"

namespace zmlx::backend::stages {

/// The raw product on the CPU: y[n][m] = sum_k x[n][k] W[m, k] in float32.
/// A row of x is first brought into the order in which its weight's numbers
/// lie in a vector, so the weights are read as they are. The instruction set
/// is chosen at run time; a prepared row belongs to the one in use.

/// Rows of x that one reading of the weights can serve.
inline constexpr int kRowsAtOnce = 4;

/// Size of a prepared row, a multiple of 64.
ZMLX_API size_t prepared_bytes(const Format& format, int64_t width);

/// x (width) as weights of this format want it; `prepared` is 64-byte aligned.
ZMLX_API void prepare(
    const Format& format,
    const float* x,
    int64_t width,
    std::byte* prepared);

/// Rows first .. last - 1 of the weight, `first` even, with `count` <=
/// kRowsAtOnce rows of x, prepared at prepared + n * prepared_bytes:
/// y[n * y_stride + m - first]. The bits of a result depend on its row of the
/// weight and its row of x alone, but that an odd last row may round otherwise
/// than as part of a longer range. Reads nothing outside these rows.
ZMLX_API void multiply(
    const Matrix& weight,
    const std::byte* prepared,
    int count,
    int64_t first,
    int64_t last,
    float* y,
    int64_t y_stride);

} // namespace zmlx::backend::stages
