#pragma once

#include <vector>

#include "zmlx/export.h"
#include "zmlx/lang/kernel.h"

/// Lists of cases that many kernels share: empty, one, odd, prime, large,
/// broadcast.
namespace zmlx::kernels {

/// Element-wise kernels of `inputs` inputs of one shape; for two or more also
/// shapes that broadcast.
ZMLX_API std::vector<lang::Case> map_cases(int inputs);

/// Kernels on the last axis: `rows` inputs (..., D), then `weights` inputs
/// (D,), then `scalars` numbers.
ZMLX_API std::vector<lang::Case>
row_cases(int rows, int weights = 0, int scalars = 0);

/// Running sums of one input: rows in every order, attributes reverse and
/// exclusive.
ZMLX_API std::vector<lang::Case> scan_cases();

/// Whole numbers of 32 random bits, for packed weights.
ZMLX_API lang::Fill packed_words();

} // namespace zmlx::kernels
