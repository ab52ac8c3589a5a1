#pragma once

#include <string>
#include <vector>

#include <mlx/mlx.h>

#include "zmlx/export.h"
#include "zmlx/nn/cache.h"

namespace zmlx::nn {

/// What a conversation keeps of the entries that its steps make.
enum class Keeps : uint8_t {
  All, // one entry per token: keys and values
  Window, // the last `window` entries, entry p at place p % window
  Latest, // one entry, which each step makes anew: a recurrent state
};

/// One array that a conversation keeps from step to step.
struct StateSlot {
  std::string name; // "keys.3", in messages
  mx::Shape entry; // of one entry: (kv_heads, head_dim)
  mx::Dtype dtype = mx::float32;
  Keeps keeps = Keeps::All;
  int window = 0; // Keeps::Window: at least 1

  size_t entry_bytes() const;
  bool operator==(const StateSlot&) const = default;
};

/// The slots of a model with these caches, keys and values of each layer in
/// turn.
ZMLX_API std::vector<StateSlot> state_slots(
    const std::vector<KVCacheShape>& caches);

} // namespace zmlx::nn
