#pragma once

#include <cstdint>
#include <span>

#include "zmlx/export.h"
#include "zmlx/lang/kernel.h"

/// The space of places of a body: what the shapes of its inputs meet in.
namespace zmlx::lang {

/// How an input of this shape meets the others: EachRow with a last axis of 1,
/// a Row with 1 for its last axis, which is its own, a Table with its last axis
/// alone. A Row has at least one axis, a Table two.
ZMLX_API Shape meeting_shape(Role role, Shape shape);

/// Whether an input of this role meets the others at all.
inline bool meets(Role role) {
  return role != Role::Scalar && role != Role::Whole;
}

/// Elements of an array of this shape.
ZMLX_API int64_t count(std::span<const int64_t> shape);

} // namespace zmlx::lang
