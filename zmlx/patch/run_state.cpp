#include "zmlx/patch/run_state.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>

#include "zmlx/base/errors.h"
#include "zmlx/graph/to_mlx.h"
#include "zmlx/nn/logits.h"
#include "zmlx/nn/state_slot.h"

namespace zmlx::patch_detail {

void RunState::check_room(size_t tokens) const {
  if (tokens > static_cast<size_t>(limit_ - position())) {
    throw user_error(
        "the context is full: it holds {} of {} tokens, {} more do not fit",
        position(),
        limit_,
        tokens);
  }
}

void RunState::check_nothing_submitted() const {
  if (submitted() > 0) {
    throw user_error("{} submitted steps have not been polled", submitted());
  }
}

void RunState::check_largest(float logit) {
  if (!std::isfinite(logit)) {
    const auto all = logits();
    nn::likeliest({all.data<float>(), all.size()}, position());
  }
}

void RunState::append(const std::vector<int>& tokens) {
  check_nothing_submitted();
  check_room(tokens.size());
  run(tokens);
}

void RunState::submit(std::optional<int> token) {
  if (!token && submitted() == 0) {
    throw user_error("submit: no token, and no step whose token could follow");
  }
  check_room(1);
  begin_step(token);
}

int RunState::poll() {
  if (submitted() == 0) {
    throw user_error("poll: no step was submitted");
  }
  return end_step();
}

namespace {

/// The token that a step chose. Only a function of PatchOptions can choose one
/// that is none.
int chosen(uint32_t token, int vocab_size) {
  if (token >= static_cast<uint32_t>(vocab_size)) {
    throw user_error(
        "choose: {} is not in the vocabulary of {} tokens",
        static_cast<int32_t>(token),
        vocab_size);
  }
  return static_cast<int>(token);
}

/// The least doubling of `capacity` that holds `positions`.
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
      int vocab_size,
      std::shared_ptr<const plan::Plan> plan,
      std::unique_ptr<plan::State> state)
      : RunState(std::move(owner), state->capacity()),
        vocab_size_(vocab_size),
        plan_(std::move(plan)),
        state_(std::move(state)),
        replay_(plan_, *state_) {}

  int position() const override {
    return state_->position();
  }
  void trim(int n) override {
    check_nothing_submitted();
    state_->trim(n);
  }
  std::unique_ptr<nn::State> copy() const override {
    check_nothing_submitted();
    return std::make_unique<ReplayedState>(
        owner_, vocab_size_, plan_, state_->copy());
  }
  size_t memory_bytes() const override {
    return state_->memory_bytes() + replay_.memory_bytes();
  }
  mx::array logits() override {
    auto logits = mx::zeros({vocab_size_}, mx::float32, mx::Device::cpu);
    logits.eval();
    replay_.read(0, logits.data<float>(), logits.nbytes());
    return logits;
  }
  int likeliest() override {
    const auto choice = replay_.read_choice();
    check_largest(choice.logit);
    return chosen(choice.token, vocab_size_);
  }

 protected:
  void run(const std::vector<int>& tokens) override {
    for (size_t i = 0; i < tokens.size(); i++) {
      check_stop();
      replay_.step(state_->ticket(), tokens[i], i + 1 == tokens.size());
    }
  }

  void begin_step(std::optional<int> token) override {
    replay_.step(state_->ticket(), token);
    auto& step = submitted_.emplace_back(std::make_unique<Submitted>());
    step->mark = replay_.begin_read_choice(&step->choice);
  }
  int end_step() override {
    const auto step = std::move(submitted_.front());
    submitted_.pop_front();
    state_->queue().wait_for(step->mark);
    const auto later = static_cast<int>(submitted_.size());
    // Its logits may be those of a later step by now.
    nn::check_largest(step->choice.logit, std::nullopt, position() - later);
    replay_.check_faults();
    return chosen(step->choice.token, vocab_size_);
  }
  size_t submitted() const override {
    return submitted_.size();
  }

 private:
  // What a step under way will write when it is done.
  struct Submitted {
    plan::Replay::Choice choice;
    uint64_t mark = 0;
  };

  int vocab_size_;
  std::shared_ptr<const plan::Plan> plan_;
  std::unique_ptr<plan::State> state_;
  std::deque<std::unique_ptr<Submitted>> submitted_;
  plan::Replay replay_; // goes first: it waits for what writes to submitted_
};

class RebuiltState : public RunState {
 public:
  RebuiltState(
      std::shared_ptr<const void> owner,
      const nn::DecoderShape& shape,
      GraphFor graph_for,
      int first,
      int limit)
      : RunState(std::move(owner), limit),
        shape_(shape),
        graph_for_(std::move(graph_for)) {
    for (const auto& slot : nn::state_slots(shape.caches)) {
      mx::Shape empty = slot.entry;
      empty.insert(empty.begin(), 0);
      caches_.push_back(mx::zeros(empty, slot.dtype));
    }
    set_capacity(first);
  }

  int position() const override {
    return position_;
  }
  void trim(int n) override {
    check_nothing_submitted();
    if (n < 0 || n > position_) {
      throw user_error("cannot forget {} of {} tokens", n, position_);
    }
    position_ -= n;
  }
  std::unique_ptr<nn::State> copy() const override {
    auto twin = std::make_unique<RebuiltState>(*this); // arrays are values
    twin->stop_if({});
    return twin;
  }
  size_t memory_bytes() const override {
    size_t bytes = 0;
    for (const auto& cache : caches_) {
      bytes += cache.nbytes();
    }
    return bytes;
  }
  mx::array logits() override {
    auto logits =
        mx::astype(mx::reshape(last_.at(0), {shape_.vocab_size}), mx::float32);
    logits.eval();
    return logits;
  }
  int likeliest() override {
    check_largest(last_.at(2).item<float>());
    return chosen(last_.at(1).item<uint32_t>(), shape_.vocab_size);
  }

 protected:
  void run(const std::vector<int>& tokens) override {
    set_capacity(grown(capacity_, position_ + static_cast<int>(tokens.size())));
    for (int token : tokens) {
      check_stop();
      std::vector<mx::array> inputs{
          mx::array({token}, {1, 1}),
          mx::array(position_),
          mx::array(position_ + 1)};
      inputs.insert(inputs.end(), caches_.begin(), caches_.end());
      auto outputs = graph::to_mlx(*graph_, inputs);
      mx::eval(outputs);
      last_ = {outputs[0], outputs[1], outputs[2]};
      caches_.assign(outputs.begin() + 3, outputs.end());
      position_++;
    }
  }

  // Steps are done at once: the token of the next is known by then.
  void begin_step(std::optional<int> token) override {
    run({token ? *token : likeliest()});
    submitted_.push_back(likeliest());
  }
  int end_step() override {
    const int token = submitted_.front();
    submitted_.pop_front();
    return token;
  }
  size_t submitted() const override {
    return submitted_.size();
  }

 private:
  void set_capacity(int capacity) {
    if (capacity == capacity_) {
      return;
    }
    auto graph = graph_for_(capacity);
    std::vector<mx::array> caches;
    for (const auto& cache : caches_) {
      std::vector<std::pair<int, int>> pads(cache.ndim(), {0, 0});
      pads[0].second = capacity - cache.shape(0);
      caches.push_back(mx::pad(cache, pads));
    }
    mx::eval(caches);
    graph_ = std::move(graph);
    caches_ = std::move(caches);
    capacity_ = capacity;
  }

  const nn::DecoderShape& shape_;
  GraphFor graph_for_;
  std::shared_ptr<const graph::Graph> graph_;
  std::vector<mx::array> last_; // logits, the likeliest token, its logit
  std::vector<mx::array> caches_; // as nn::state_slots has them
  std::deque<int> submitted_; // likeliest tokens
  int capacity_ = 0;
  int position_ = 0;
};

} // namespace

std::unique_ptr<RunState> replayed_state(
    std::shared_ptr<const void> owner,
    const nn::DecoderShape& shape,
    std::shared_ptr<const plan::Plan> plan,
    int limit) {
  auto state = std::make_unique<plan::State>(
      plan->peer(), nn::state_slots(shape.caches), limit);
  return std::make_unique<ReplayedState>(
      std::move(owner), shape.vocab_size, std::move(plan), std::move(state));
}

std::unique_ptr<RunState> rebuilt_state(
    std::shared_ptr<const void> owner,
    const nn::DecoderShape& shape,
    GraphFor graph_for,
    int first,
    int limit) {
  return std::make_unique<RebuiltState>(
      std::move(owner), shape, std::move(graph_for), first, limit);
}

} // namespace zmlx::patch_detail
