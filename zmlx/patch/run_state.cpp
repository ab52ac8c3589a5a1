#include "zmlx/patch/run_state.h"

#include <algorithm>
#include <limits>

#include "zmlx/base/errors.h"
#include "zmlx/graph/to_mlx.h"

namespace zmlx::patch_detail {

void RunState::append(const std::vector<int>& tokens) {
  auto needed =
      static_cast<int64_t>(position()) + static_cast<int64_t>(tokens.size());
  if (needed > limit_) {
    throw user_error(
        "the context is full: it holds {} of {} tokens, {} more do not fit",
        position(),
        limit_,
        tokens.size());
  }
  make_room(static_cast<int>(needed));
  run(tokens);
}

namespace {

/// The least doubling of `capacity` that holds `positions`. It may pass the
/// limit of the conversation: memory that no token reaches costs nothing, and
/// plans of equal capacity are shared.
int grown(int capacity, int positions) {
  int64_t result = capacity;
  while (result < positions) {
    result *= 2;
  }
  return static_cast<int>(
      std::min<int64_t>(result, std::numeric_limits<int>::max()));
}

class ReplayedState : public RunState {
 public:
  ReplayedState(
      std::shared_ptr<const void> owner,
      const nn::DecoderShape& shape,
      const PlanFor& plan_for,
      std::unique_ptr<plan::State> state,
      int limit)
      : RunState(std::move(owner), limit),
        shape_(shape),
        plan_for_(plan_for),
        state_(std::move(state)) {}

  int position() const override {
    return state_->position();
  }
  void trim(int n) override {
    state_->trim(n);
  }
  std::unique_ptr<nn::State> copy() const override {
    return std::make_unique<ReplayedState>(
        owner_, shape_, plan_for_, state_->copy(), limit_);
  }
  size_t memory_bytes() const override {
    return state_->memory_bytes() + (replay_ ? replay_->memory_bytes() : 0);
  }
  mx::array logits() const override {
    return mx::array(
        static_cast<const float*>(replay_->output(0)),
        {shape_.vocab_size},
        mx::float32);
  }
  int likeliest() const override {
    return static_cast<int>(*static_cast<const uint32_t*>(replay_->output(1)));
  }

 protected:
  void make_room(int positions) override {
    int capacity = grown(state_->capacity(), positions);
    if (capacity > state_->capacity()) {
      state_->grow(capacity);
      replay_.reset(); // it is bound to the old buffers
    }
    if (!replay_) {
      replay_ = std::make_unique<plan::Replay>(plan_for_(capacity), *state_);
    }
  }

  void run(const std::vector<int>& tokens) override {
    for (size_t i = 0; i < tokens.size(); i++) {
      replay_->step(state_->ticket(), tokens[i], i + 1 == tokens.size());
    }
  }

 private:
  const nn::DecoderShape& shape_;
  const PlanFor& plan_for_;
  std::unique_ptr<plan::State> state_;
  std::unique_ptr<plan::Replay> replay_;
};

class RebuiltState : public RunState {
 public:
  RebuiltState(
      std::shared_ptr<const void> owner,
      const nn::DecoderShape& shape,
      const GraphFor& graph_for,
      int first,
      int limit)
      : RunState(std::move(owner), limit),
        shape_(shape),
        graph_for_(graph_for) {
    for (const auto& cache : shape.caches) {
      for (int i = 0; i < 2; i++) {
        caches_.push_back(
            mx::zeros({1, cache.kv_heads, 0, cache.head_dim}, cache.dtype));
      }
    }
    set_capacity(first);
  }

  int position() const override {
    return position_;
  }
  void trim(int n) override {
    if (n < 0 || n > position_) {
      throw user_error("cannot forget {} of {} tokens", n, position_);
    }
    position_ -= n;
  }
  std::unique_ptr<nn::State> copy() const override {
    return std::make_unique<RebuiltState>(*this); // arrays are values
  }
  size_t memory_bytes() const override {
    size_t bytes = 0;
    for (const auto& cache : caches_) {
      bytes += cache.nbytes();
    }
    return bytes;
  }
  mx::array logits() const override {
    auto logits =
        mx::astype(mx::reshape(last_.at(0), {shape_.vocab_size}), mx::float32);
    logits.eval();
    return logits;
  }
  int likeliest() const override {
    auto token = last_.at(1);
    return static_cast<int>(token.item<uint32_t>());
  }

 protected:
  void make_room(int positions) override {
    set_capacity(grown(capacity_, positions));
  }

  void run(const std::vector<int>& tokens) override {
    for (int token : tokens) {
      std::vector<mx::array> inputs{
          mx::array({token}, {1, 1}),
          mx::array(position_),
          mx::array(position_ + 1)};
      inputs.insert(inputs.end(), caches_.begin(), caches_.end());
      auto outputs = graph::to_mlx(*graph_, inputs);
      mx::eval(outputs);
      last_ = {outputs[0], outputs[1]};
      caches_.assign(outputs.begin() + 2, outputs.end());
      position_++;
    }
  }

 private:
  void set_capacity(int capacity) {
    if (capacity == capacity_) {
      return;
    }
    auto graph = graph_for_(capacity);
    std::vector<mx::array> caches;
    for (const auto& cache : caches_) {
      int more = capacity - cache.shape(2);
      caches.push_back(mx::pad(cache, {{0, 0}, {0, 0}, {0, more}, {0, 0}}));
    }
    mx::eval(caches);
    graph_ = std::move(graph);
    caches_ = std::move(caches);
    capacity_ = capacity;
  }

  const nn::DecoderShape& shape_;
  const GraphFor& graph_for_;
  std::shared_ptr<const graph::Graph> graph_;
  std::vector<mx::array> last_; // logits and the likeliest token
  std::vector<mx::array> caches_; // keys and values of each layer in turn
  int capacity_ = 0;
  int position_ = 0;
};

} // namespace

std::unique_ptr<RunState> replayed_state(
    std::shared_ptr<const void> owner,
    const nn::DecoderShape& shape,
    const PlanFor& plan_for,
    int first,
    int limit) {
  return std::make_unique<ReplayedState>(
      std::move(owner),
      shape,
      plan_for,
      std::make_unique<plan::State>(shape.caches, first),
      limit);
}

std::unique_ptr<RunState> rebuilt_state(
    std::shared_ptr<const void> owner,
    const nn::DecoderShape& shape,
    const GraphFor& graph_for,
    int first,
    int limit) {
  return std::make_unique<RebuiltState>(
      std::move(owner), shape, graph_for, first, limit);
}

} // namespace zmlx::patch_detail
