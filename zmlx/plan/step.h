#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "zmlx/export.h"
#include "zmlx/graph/node.h"
#include "zmlx/nn/decoder.h"

namespace zmlx::plan {

/// Names of a step's placeholders.
namespace step_names {
inline constexpr std::string_view token = "token"; // (1, 1) int32
inline constexpr std::string_view position = "position"; // () int32
inline constexpr std::string_view length = "length"; // () int32: position + 1

struct Cache {
  int layer;
  bool is_keys;
};
ZMLX_API std::string keys(int layer);
ZMLX_API std::string values(int layer);
/// Nothing for a name that is not a cache's.
ZMLX_API std::optional<Cache> parse_cache(const std::string& name);
} // namespace step_names

/// Calls the model once on placeholders, with caches of fixed capacity and the
/// position as an array, and lifts the graph that comes of it: one decode step,
/// outputs "logits" (1, 1, vocab)
/// and "likeliest" (1, 1) uint32, then the caches. While it runs, mx::fast
/// operations become nodes of the catalogue. UserError, which says why, where
/// the model asks for data of the step (item(), eval), or reads the caches in
/// other operations than nn::fast().attention: then only the original computes
/// what it computes.
ZMLX_API graph::Graph capture_step(const nn::Model& model, int capacity);

/// The step for caches of another capacity: capture, folds and constants are
/// shared with `step`.
ZMLX_API graph::Graph with_capacity(const graph::Graph& step, int capacity);

} // namespace zmlx::plan
