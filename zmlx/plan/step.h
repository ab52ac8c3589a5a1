#pragma once

#include <functional>

#include "zmlx/export.h"
#include "zmlx/graph/node.h"
#include "zmlx/nn/decoder.h"
#include "zmlx/nn/state_slot.h"

namespace zmlx::plan {

namespace mx = mlx::core;

/// How a step chooses the next token, in MLX's operations and ours: logits (1,
/// 1, vocab) float32 and the position () int32 -> one integer. It is captured
/// with the step. Empty: the likeliest.
using Choose = std::function<
    mx::array(const mx::array& logits, const mx::array& position)>;

/// Calls the model once on placeholders, with caches of fixed capacity and the
/// position as an array, and lifts the graph that comes of it: one decode step
/// for `device`. Placeholders: the cells that it needs and the arrays of
/// nn::state_slots, each a graph::Slot with the number of its cell
/// (plan/cells.h) or array. Outputs: "logits" (1, 1, vocab), "chosen" (1, 1)
/// uint32 and "largest" (1, 1), the largest logit, which is NaN where any is;
/// then the arrays of the state. While it runs, mx::fast operations become
/// nodes of the catalogue. UserError, which says why, where the model asks for
/// data of the step (item(), eval), or reads the caches in other operations
/// than nn::fast().attention: then only the original computes what it computes.
ZMLX_API graph::Graph capture_step(
    const nn::Model& model,
    int capacity,
    mx::Device device = mx::default_device(),
    const Choose& choose = {});

/// The step for states of another capacity: all that changes is how long the
/// arrays with one place a token are said to be.
ZMLX_API graph::Graph with_capacity(const graph::Graph& step, int capacity);

} // namespace zmlx::plan
