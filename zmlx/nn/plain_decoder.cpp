#include <algorithm>
#include <cstdint>
#include <deque>

#include "zmlx/base/errors.h"
#include "zmlx/nn/decoder.h"
#include "zmlx/nn/logits.h"

namespace zmlx::nn {

namespace {

// As mlx_lm's prefill_step_size.
constexpr size_t prompt_chunk = 2048;

using Held = std::vector<mx::array>;

GrowingKVCache& growing(const std::unique_ptr<KVCache>& cache) {
  return static_cast<GrowingKVCache&>(*cache);
}

/// What a step says about the next token, perhaps not evaluated yet.
struct Choice {
  mx::array token; // the likeliest
  mx::array logit; // the largest, float32; NaN where any is
};

class PlainState : public State {
 public:
  PlainState(const Decoder* owner, size_t layers, int capacity)
      : owner_(owner), capacity_(capacity) {
    for (size_t i = 0; i < layers; ++i) {
      caches.push_back(std::make_unique<GrowingKVCache>());
    }
  }

  int position() const override {
    return caches.empty() ? 0 : growing(caches.front()).length();
  }
  int capacity() const override {
    return capacity_;
  }
  const Decoder* owner() const {
    return owner_;
  }

  void trim(int n) override {
    check_nothing_submitted();
    if (n < 0 || n > position()) {
      throw user_error(
          "trim: cannot forget {} tokens of a state that holds {}",
          n,
          position());
    }
    for (auto& cache : caches) {
      growing(cache).trim(n);
    }
  }

  // Arrays are values: both states share their buffers until one is written.
  std::unique_ptr<State> copy() const override {
    check_nothing_submitted();
    auto twin = std::make_unique<PlainState>(owner_, 0, capacity_);
    for (auto& cache : caches) {
      twin->caches.push_back(std::make_unique<GrowingKVCache>(growing(cache)));
    }
    return twin;
  }

  size_t memory_bytes() const override {
    size_t bytes = 0;
    for (auto& array : arrays()) {
      bytes += array.nbytes();
    }
    return bytes;
  }

  Held arrays() const {
    Held all;
    for (auto& cache : caches) {
      auto held = growing(cache).arrays();
      all.insert(all.end(), held.begin(), held.end());
    }
    return all;
  }

  void check_nothing_submitted() const {
    if (!submitted.empty()) {
      throw user_error(
          "{} submitted steps have not been polled", submitted.size());
    }
  }

  Caches caches;
  std::deque<Choice> submitted; // of each step

 private:
  const Decoder* owner_;
  int capacity_;
};

class PlainDecoder : public Decoder {
 public:
  explicit PlainDecoder(std::shared_ptr<const Model> model)
      : model_(std::move(model)) {}

  const DecoderShape& shape() const override {
    return model_->shape();
  }

  std::unique_ptr<State> new_state(int capacity) override {
    check_capacity(shape(), capacity);
    return std::make_unique<PlainState>(this, shape().caches.size(), capacity);
  }

  mx::array forward(const std::vector<int>& tokens, State& state) override {
    auto logits = mx::astype(append(tokens, own(state)), mx::float32);
    mx::eval(logits);
    return logits;
  }

  int next_token(const std::vector<int>& tokens, State& state) override {
    auto choice = choose(append(tokens, own(state)));
    mx::eval(choice.token, choice.logit);
    return checked(choice, state.position());
  }

  void submit(std::optional<int> token, State& state) override {
    auto& mine = own(state);
    if (token) {
      check_tokens({*token}, shape(), mine);
    } else if (mine.submitted.empty()) {
      throw user_error(
          "submit: no token, and no step whose token could follow");
    } else {
      check_room(1, mine);
    }
    auto input = token
        ? mx::array({*token}, {1, 1}, mx::int32)
        : mx::reshape(
              mx::astype(mine.submitted.back().token, mx::int32), {1, 1});
    auto choice = choose(model_->forward(input, mine.caches));
    mx::async_eval(choice.token, choice.logit);
    mine.submitted.push_back(std::move(choice));
  }

  int poll(State& state) override {
    auto& mine = own(state);
    if (mine.submitted.empty()) {
      throw user_error("poll: no step was submitted");
    }
    auto choice = std::move(mine.submitted.front());
    mine.submitted.pop_front();
    const auto later = static_cast<int>(mine.submitted.size());
    return checked(choice, mine.position() - later);
  }

 private:
  static Choice choose(const mx::array& logits) {
    return {mx::argmax(logits), mx::astype(mx::max(logits), mx::float32)};
  }

  static int checked(Choice& choice, int position) {
    const auto token = static_cast<int>(choice.token.item<uint32_t>());
    check_largest(choice.logit.item<float>(), token, position);
    return token;
  }

  // The logits after the last token, not evaluated yet.
  mx::array append(const std::vector<int>& tokens, PlainState& mine) const {
    mine.check_nothing_submitted();
    check_tokens(tokens, shape(), mine);
    auto first = tokens.begin();
    const auto last = tokens.end() - 1;
    while (first != last) {
      const auto count = std::min<size_t>(prompt_chunk, last - first);
      run(&*first, count, mine);
      evaluate(mine, static_cast<int>(count));
      mx::clear_cache();
      first += count;
    }
    return mx::reshape(run(&*last, 1, mine), {shape().vocab_size});
  }

  // Layer by layer, because a chunk takes seconds on a CPU and may be stopped.
  static void evaluate(PlainState& state, int added) {
    try {
      for (auto& cache : state.caches) {
        state.check_stop();
        mx::eval(growing(cache).arrays());
      }
    } catch (const Stopped&) {
      state.trim(added);
      throw;
    }
  }

  PlainState& own(State& state) const {
    auto* mine = dynamic_cast<PlainState*>(&state);
    if (!mine || mine->owner() != this) {
      throw user_error("forward: the state was made by another decoder");
    }
    return *mine;
  }

  static void check_tokens(
      const std::vector<int>& tokens,
      const DecoderShape& shape,
      const State& state) {
    if (tokens.empty()) {
      throw user_error("forward: expected at least one token, got none");
    }
    for (int token : tokens) {
      if (token < 0 || token >= shape.vocab_size) {
        throw user_error(
            "forward: token {} is not in the vocabulary of {} tokens",
            token,
            shape.vocab_size);
      }
    }
    check_room(tokens.size(), state);
  }

  static void check_room(size_t tokens, const State& state) {
    const auto room = static_cast<size_t>(state.capacity() - state.position());
    if (tokens > room) {
      throw user_error(
          "the context is full: {} tokens do not fit after {} of {}",
          tokens,
          state.position(),
          state.capacity());
    }
  }

  mx::array run(const int* tokens, size_t count, PlainState& state) const {
    mx::array input(tokens, {1, static_cast<int>(count)}, mx::int32);
    return model_->forward(input, state.caches);
  }

  std::shared_ptr<const Model> model_;
};

} // namespace

std::unique_ptr<Decoder> plain_decoder(std::shared_ptr<const Model> model) {
  if (!model) {
    throw user_error("plain_decoder: expected a model, got a null pointer");
  }
  return std::make_unique<PlainDecoder>(std::move(model));
}

} // namespace zmlx::nn
