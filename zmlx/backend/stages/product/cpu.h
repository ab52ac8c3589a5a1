#pragma once

#include <memory>
#include <optional>
#include <string>

#include "zmlx/backend/cpu/launch.h"
#include "zmlx/export.h"

namespace zmlx::backend::stages {

/// Why Stage::Product of this program cannot run on the CPU, if it cannot:
/// dense weights are f32, f16 or bf16; affine ones have 2, 4 or 8 bits, groups
/// of 32, 64 or 128, and scales and biases of one of these types.
ZMLX_API std::optional<std::string> product_unsupported(
    const lang::Program& program);

/// Stage::Product on the CPU. At bind: weights (M, K) have adjacent numbers
/// along a row and any row stride; outputs are (rows..., M), and the row
/// program runs over (rows..., K). InternalError where views do not fit.
///
/// Work is divided over the rows of all weights by the bytes read; the bits of
/// an output do not depend on the number of parts.
ZMLX_API std::shared_ptr<const cpu::Executable> make_product(
    const lang::Program& program);

} // namespace zmlx::backend::stages
