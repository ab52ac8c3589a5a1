#pragma once

#include <vector>

#include "zmlx/export.h"
#include "zmlx/lang/kernel.h"

/// Lists of cases that many kernels share: empty, one, odd, prime, large,
/// broadcast.
namespace zmlx::kernels {

/// Element-wise kernels of `inputs` inputs of one shape, then `scalars`
/// numbers; for two or more inputs also shapes that broadcast.
ZMLX_API std::vector<lang::Case> map_cases(int inputs, int scalars = 0);

/// Kernels on the last axis: `rows` inputs (..., D), then `weights` inputs
/// (D,), then `scalars` numbers.
ZMLX_API std::vector<lang::Case>
row_cases(int rows, int weights = 0, int scalars = 0);

/// Running sums of one input: rows in every order, attributes reverse and
/// exclusive.
ZMLX_API std::vector<lang::Case> scan_cases();

/// The lists after each other, the second's cases with these attributes.
ZMLX_API std::vector<lang::Case> with_attributes(
    std::vector<lang::Case> cases,
    std::vector<lang::Case> more,
    const lang::Attributes& attributes);

/// Kernels of x (..., 2D), whose rows are two halves, then `weights` inputs
/// (2D,).
ZMLX_API std::vector<lang::Case> halves_cases(int weights = 0);

/// Whole numbers of 32 random bits, for packed weights.
ZMLX_API lang::Fill packed_words();

} // namespace zmlx::kernels
