#pragma once

#include <cstdint>
#include <optional>
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

/// The place of the axis that a length is made of in the shape of its input.
/// Nothing where the input has no such axis.
ZMLX_API std::optional<size_t> find_axis(
    const AxisLength& length,
    const Shape& shape);

/// How long this is for inputs of these shapes. Nothing where the input has no
/// such axis, or one that AxisLength::over does not divide.
ZMLX_API std::optional<int64_t> find_length(
    const AxisLength& length,
    std::span<const Shape> inputs);

/// What inputs of these roles and shapes meet in, with last axes of these
/// lengths (Body::space, Program::space). infer_shapes has accepted the inputs.
ZMLX_API Shape meeting_space(
    std::span<const AxisLength> lengths,
    std::span<const Role> roles,
    std::span<const Shape> inputs);

/// Elements of an array of this shape.
ZMLX_API int64_t count(std::span<const int64_t> shape);

} // namespace zmlx::lang
