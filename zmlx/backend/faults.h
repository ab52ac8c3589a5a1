#pragma once

#include <vector>

#include "zmlx/lang/program.h"

namespace zmlx::backend {

/// For each register, whether its value depends on an input.
std::vector<bool> given_by_input(const lang::Code& code);

/// Whether a place, a row or a matrix that the program reads or adds to depends
/// on an input, so that it may lie outside its array.
bool can_fault(const lang::Program& program);

} // namespace zmlx::backend
