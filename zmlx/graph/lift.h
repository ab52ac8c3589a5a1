#pragma once

#include <functional>
#include <string>
#include <vector>

#include "zmlx/export.h"
#include "zmlx/graph/node.h"

namespace zmlx::graph {

struct Named {
  std::string name;
  mx::array array;
  std::optional<Slot> slot = {}; // of a placeholder
};

/// Gives constants their names (weights: their name in the model's file); an
/// empty string where it knows none.
using NameOf = std::function<std::string(const mx::array&)>;

/// A placeholder: an array of this shape and type without data. Operations on
/// it build a graph; evaluating what depends on it throws.
ZMLX_API mx::array placeholder(mx::Shape shape, mx::Dtype dtype);

/// Turns the lazy MLX graph between placeholders and outputs into nodes of
/// ours, without changing what it computes: views become strides, what depends
/// on no placeholder is evaluated once, each known primitive becomes a kernel
/// node that stores what the graph stored, our own nodes stay, and anything
/// else becomes a Foreign node with the reason. The kernels are those of
/// `device`.
ZMLX_API Graph lift(
    const std::vector<Named>& placeholders,
    const std::vector<Named>& outputs,
    const NameOf& name_of,
    mx::Device device = mx::default_device());

} // namespace zmlx::graph
