#pragma once

#include <span>
#include <vector>

#include "zmlx/backend/cpu/launch.h"

namespace zmlx::backend::cpu {

/// The places that a map, a row or a top-k program runs over: what its inputs
/// meet in (Program::roles, Program::space), and the outputs that are as large.
lang::Shape find_space(
    const lang::Program& program,
    std::span<const View> inputs,
    std::span<const View> outputs);

/// By output, whether it is a sum over this space: those of the shape of the
/// space are not.
std::vector<bool> find_sums(
    const lang::Program& program,
    std::span<const View> outputs,
    const lang::Shape& space);

} // namespace zmlx::backend::cpu
