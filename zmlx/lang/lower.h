#pragma once

#include <optional>
#include <string>

#include "zmlx/export.h"
#include "zmlx/lang/kernel.h"
#include "zmlx/lang/program.h"

namespace zmlx::lang {

/// Types a body and brings it into the one stage that its trees have, by named
/// passes (type, order reductions into passes, share equal values, fold
/// constants) each of which checks its result.
/// Returns no program, with the reason in *why, for a tree that has no stage
/// yet (a product of a product, a reduction over a product's places).
ZMLX_API std::optional<Program>
lower(const Body& body, const std::vector<Type>& inputs, std::string* why);

/// The lowered program as text, one instruction a line, for `zmlx show`.
ZMLX_API std::string to_text(const Program& program);

} // namespace zmlx::lang
