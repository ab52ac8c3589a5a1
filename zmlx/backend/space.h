#pragma once

#include <span>
#include <vector>

#include "zmlx/backend/backend.h"

namespace zmlx::backend {

/// The space of places that a map, a row or a top-k program runs over: the
/// shape to which its inputs broadcast (Program::roles, Program::space), and
/// the outputs that have one element per place.
lang::Shape find_space(
    const lang::Program& program,
    std::span<const View> inputs,
    std::span<const View> outputs);

/// For each output, whether its elements are sums over places of this space.
/// Into::Sum alone does not say so: where an output has an element for each
/// place, there is nothing to add up.
std::vector<bool> find_sums(
    const lang::Program& program,
    std::span<const View> outputs,
    const lang::Shape& space);

} // namespace zmlx::backend
