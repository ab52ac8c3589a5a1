#pragma once

#include <string>

#include "zmlx/export.h"
#include "zmlx/lang/kernel.h"

namespace zmlx::lang {

/// The body as a formula that parse() reads back, over the same inputs, to
/// equal trees. Values used more than once, and parts of deep trees, become
/// `let`s. Types of outputs are not part of a formula; a NaN loses its bits.
ZMLX_API std::string print(const Body& body);

} // namespace zmlx::lang
