#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "zmlx/nn/decoder.h"
#include "zmlx/plan/plan.h"

namespace zmlx::patch_detail {

namespace mx = mlx::core;

/// A conversation with a patched model: a state that runs itself.
class RunState : public nn::State {
 public:
  /// Keeps its owner, the patched model, alive.
  RunState(std::shared_ptr<const void> owner, int limit)
      : owner_(std::move(owner)), limit_(limit) {}

  int capacity() const override {
    return limit_;
  }
  const void* owner() const {
    return owner_.get();
  }
  /// Appends tokens, at least one and none outside the vocabulary. UserError,
  /// with nothing changed, where they do not fit in the context.
  void append(const std::vector<int>& tokens);
  /// After the last token appended: (vocab) float32, evaluated.
  virtual mx::array logits() const = 0;
  virtual int likeliest() const = 0;

 protected:
  virtual void make_room(int positions) = 0; // at most capacity()
  virtual void run(const std::vector<int>& tokens) = 0;

  std::shared_ptr<const void> owner_;
  int limit_;
};

/// A plan for a step with caches of this capacity.
using PlanFor = std::function<std::shared_ptr<const plan::Plan>(int capacity)>;
/// A folded step with caches of this capacity.
using GraphFor =
    std::function<std::shared_ptr<const graph::Graph>(int capacity)>;

/// Replays a plan. The caches begin with room for `first` tokens and double
/// when full. `shape` and the function belong to the owner.
std::unique_ptr<RunState> replayed_state(
    std::shared_ptr<const void> owner,
    const nn::DecoderShape& shape,
    const PlanFor& plan_for,
    int first,
    int limit);

/// Rebuilds the step as MLX arrays for each token, with the kernels that there
/// are and MLX's own primitives for the rest: for steps that no plan can run.
/// Caches are MLX values, made anew each step.
std::unique_ptr<RunState> rebuilt_state(
    std::shared_ptr<const void> owner,
    const nn::DecoderShape& shape,
    const GraphFor& graph_for,
    int first,
    int limit);

} // namespace zmlx::patch_detail
