#pragma once

#include <functional>
#include <memory>
#include <optional>
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
  /// with nothing changed, where they do not fit in the context; nn::Stopped
  /// where stop_if says so.
  void append(const std::vector<int>& tokens);
  /// After the last token appended: (vocab) float32, evaluated.
  virtual mx::array logits() = 0;
  /// nn::LogitsError as Decoder::next_token says.
  virtual int likeliest() = 0;

  /// nn::Decoder::submit and poll, for a token inside the vocabulary.
  void submit(std::optional<int> token);
  int poll();

 protected:
  virtual void run(const std::vector<int>& tokens) = 0;
  virtual void begin_step(std::optional<int> token) = 0;
  virtual int end_step() = 0; // of the oldest step that was begun
  virtual size_t submitted() const = 0;
  void check_room(size_t tokens) const;
  void check_nothing_submitted() const;
  /// nn::LogitsError, with the token, unless the largest logit of the last step
  /// is finite.
  void check_largest(float logit);

  std::shared_ptr<const void> owner_;
  int limit_;
};

/// A folded step with caches of this capacity.
using GraphFor =
    std::function<std::shared_ptr<const graph::Graph>(int capacity)>;

/// Replays a plan on memory that is reserved for `limit` tokens.
std::unique_ptr<RunState> replayed_state(
    std::shared_ptr<const void> owner,
    const nn::DecoderShape& shape,
    std::shared_ptr<const plan::Plan> plan,
    int limit);

/// Rebuilds the step as MLX arrays for each token, with the kernels that there
/// are and MLX's own primitives for the rest: for steps that no plan can run.
/// Caches are MLX values, made anew each step; they begin with room for `first`
/// tokens and double when full. `shape` belongs to the owner.
std::unique_ptr<RunState> rebuilt_state(
    std::shared_ptr<const void> owner,
    const nn::DecoderShape& shape,
    GraphFor graph_for,
    int first,
    int limit);

} // namespace zmlx::patch_detail
