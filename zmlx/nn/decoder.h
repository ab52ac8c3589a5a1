#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <mlx/mlx.h>

#include "zmlx/export.h"
#include "zmlx/nn/cache.h"

namespace zmlx::nn {

/// What the rest of the house may know of a model.
struct DecoderShape {
  std::string model_type; // "llama"
  int vocab_size = 0;
  int max_positions = 0; // the context the model was trained for
  std::vector<KVCacheShape> caches; // one per layer
};

/// A decoder-only transformer as plain MLX operations. One per `model_type`.
/// Immutable once made; calls from several threads need streams of their own.
class ZMLX_API Model {
 public:
  virtual ~Model() = default;
  virtual const DecoderShape& shape() const = 0;
  /// tokens (B, L) int32 -> logits (B, L, vocab). Appends to `caches`, one a
  /// layer, in order.
  virtual mx::array forward(const mx::array& tokens, Caches& caches) const = 0;
  /// Every weight array, by its name in the model's file. For memory accounts
  /// and for the identity check of plans.
  virtual std::vector<std::pair<std::string, mx::array>> parameters() const = 0;
};

/// Thrown where work on a state stops because State::stop_if said so.
class ZMLX_API Stopped : public std::exception {
 public:
  const char* what() const noexcept override {
    return "stopped";
  }
};

/// One conversation: the position and what the layers keep of it.
class ZMLX_API State {
 public:
  virtual ~State() = default;
  /// Tokens seen.
  virtual int position() const = 0;
  /// The most tokens it can hold; a UserError says so where it is passed.
  virtual int capacity() const = 0;
  /// Forgets the last n tokens. UserError when n exceeds position().
  virtual void trim(int n) = 0;
  virtual std::unique_ptr<State> copy() const = 0;
  virtual size_t memory_bytes() const = 0;

  /// From now on a decoder that appends many tokens to this state, a prompt,
  /// asks `stop` again and again, and throws Stopped once it returns true. The
  /// state then holds the first of these tokens and can be used on. Empty, as
  /// at first and in copies: never.
  void stop_if(std::function<bool()> stop) {
    stop_ = std::move(stop);
  }
  /// For decoders: throws Stopped where stop_if's function returns true.
  void check_stop() const {
    if (stop_ && stop_()) {
      throw Stopped();
    }
  }

 private:
  std::function<bool()> stop_;
};

/// What generates tokens: a model with its way to run, plain or patched.
class ZMLX_API Decoder {
 public:
  virtual ~Decoder() = default;
  virtual const DecoderShape& shape() const = 0;
  /// `capacity` in tokens: at least 1; UserError beyond what memory allows.
  virtual std::unique_ptr<State> new_state(int capacity) = 0;
  /// Appends tokens (at least one) and returns the logits after the last of
  /// them: (vocab), float32, evaluated. The state must come from this decoder's
  /// new_state.
  virtual mx::array forward(const std::vector<int>& tokens, State& state) = 0;
  /// The likeliest token after them, the first among equals, for who needs no
  /// logits. Appends and refuses as forward does; LogitsError (nn/logits.h)
  /// where the logits name no token: after a NaN there is no likeliest one.
  virtual int next_token(const std::vector<int>& tokens, State& state) = 0;

  /// Begins a step and does not wait for it: appends `token`, or without one
  /// the likeliest token of the step submitted last, which the host need not
  /// know. Refuses as forward does, and a missing token where no step was
  /// submitted. Until all steps have been polled, the state does nothing else:
  /// forward, next_token, trim and copy are a UserError.
  virtual void submit(std::optional<int> token, State& state) = 0;
  /// The likeliest token of the oldest step that was submitted and not polled;
  /// waits for it. UserError where there is none; LogitsError as next_token.
  virtual int poll(State& state) = 0;
};

/// UserError for a capacity below 1, or whose caches take more than the memory
/// that MLX may use.
ZMLX_API void check_capacity(const DecoderShape& shape, int capacity);

/// The unpatched path, stock MLX as mlx_lm runs it: growing caches, prompts in
/// chunks of 2048 of which only the caches are evaluated, mx::fast. UserError
/// for a null pointer.
ZMLX_API std::unique_ptr<Decoder> plain_decoder(
    std::shared_ptr<const Model> model);

} // namespace zmlx::nn
