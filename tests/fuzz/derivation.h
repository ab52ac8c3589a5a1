#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/fuzz/check.h"

namespace zmlx::fuzz {

/// Cotangents from -1 to 1 of these outputs; zeros of integers.
std::vector<mx::array> cotangents_of(
    const std::vector<mx::array>& outputs,
    uint64_t seed);

/// Whether lang::derive and MLX's derivation of the reference come to the same
/// in float64, on values of their own of which no two are equal. What is less
/// apart than float32 could tell is the same.
std::optional<std::string> derivation_difference(
    const Program& program,
    const std::vector<int>& wanted,
    uint64_t seed,
    Tally& tally);

} // namespace zmlx::fuzz
