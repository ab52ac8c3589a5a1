#pragma once

#include <string>
#include <vector>

#include "zmlx/export.h"

namespace zmlx::graph {

struct Graph;
struct Node;

/// A named place where a model can be made faster, and the folds that do it.
struct Pattern {
  std::string name;
  std::string summary;
  std::vector<std::string> folds;
};

/// swiglu_mlp, geglu_mlp, moe_mlp, rmsnorm, layernorm, softmax, residual_norm
/// and the further ones.
ZMLX_API const std::vector<Pattern>& patterns();

/// The folds of the named patterns or presets (FUSED_ACTIVATIONS,
/// TRAINING_RECOMMENDED, ALL_PATTERNS) or folds, less every fold of what
/// `exclude` names, also where patterns share it. No names means all.
/// UserError, with the nearest name, for an unknown one.
ZMLX_API std::vector<std::string> folds_of(
    const std::vector<std::string>& names,
    const std::vector<std::string>& exclude);

/// What a kernel node is to a person who knows the model: "swiglu_mlp",
/// "attention", "rmsnorm", else its kernel's name.
ZMLX_API std::string label_of(const Node& node);

/// Where in the model a node stands: the layers whose weights it reads, as
/// "model.layers.3.mlp.up_proj", else what it was captured from.
ZMLX_API std::vector<std::string> places_of(
    const Graph& graph,
    const Node& node);

} // namespace zmlx::graph
