#pragma once

#include <optional>

#include "zmlx/lang/expr.h"

/// Exact arithmetic on the integers of a compute type or Bool.
namespace zmlx::fuzz {

__extension__ typedef __int128 Wide; // holds int64 and uint64

/// The integer of this type that is `x` modulo 2^bits; of Bool: x != 0.
Wide wrapped(lang::Type type, Wide x);

/// The operation on numbers of `type`, an integer one; of comparisons and
/// logic 0 or 1. Nothing where C++ gives no meaning: shifts by less than 0 or
/// by the width and more. Negative powers are truncated.
std::optional<Wide> apply(lang::Op op, lang::Type type, Wide a, Wide b = 0);

} // namespace zmlx::fuzz
