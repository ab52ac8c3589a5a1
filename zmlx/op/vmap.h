#pragma once

#include <vector>

#include <mlx/mlx.h>

#include "zmlx/op/call.h"

namespace zmlx::op {

/// A call for each element along the axes of its inputs (-1: the input has
/// none, and all calls read it); the results follow each other along their axis
/// 0. The same as so many calls, and one call where the body allows it: where
/// nothing in it asks for the number of a row or has an axis of its own.
std::vector<mx::array> vmap(
    const std::shared_ptr<const Call>& call,
    const std::vector<mx::array>& inputs,
    const std::vector<int>& axes,
    mx::Stream stream);

} // namespace zmlx::op
