#include "zmlx/generate/session.h"

#include <algorithm>
#include <chrono>

#include "zmlx/base/errors.h"
#include "zmlx/base/peak_memory.h"

namespace zmlx::generate {

namespace mx = mlx::core;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::optional<double> rate(int count, double seconds) {
  return count > 0 && seconds > 0 ? std::optional(count / seconds)
                                  : std::nullopt;
}

// Tokens of a prompt that a decoder is given at once. Stock MLX asks for a stop
// between layers: on two cores of a CPU, with a model of 135 million weights, a
// layer of 64 tokens takes a quarter of a second. There a row of a product
// costs the same whatever stands beside it; on a GPU it does not.
ptrdiff_t prompt_piece() {
  return mx::default_device() == mx::Device::gpu ? 256 : 64;
}

class Session {
 public:
  Session(nn::Decoder& decoder, nn::State& state, const SessionOptions& options)
      : decoder_(decoder),
        state_(state),
        options_(options),
        sampler_(options.sampling) {
    if (options.cancel) {
      state.stop_if([&options] { return options.cancel->load(); });
    }
  }
  ~Session() {
    if (options_.cancel) {
      state_.stop_if({});
    }
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  SessionResult run(
      const std::vector<int>& prompt,
      const std::function<void(int)>& on_token) {
    result_.prompt_tokens = static_cast<int>(prompt.size());
    try {
      state_.check_stop();
      if (options_.max_tokens > 0) {
        go_on(read(prompt), on_token);
      }
    } catch (const nn::Stopped&) {
      result_.finish = Finish::cancelled;
    }
    return result_;
  }

 private:
  // The first token after the prompt. A long one is read in pieces, because a
  // decoder may ask for a stop only once it has begun what it was given.
  int read(const std::vector<int>& prompt) {
    const auto start = Clock::now();
    const auto piece = prompt_piece();
    auto at = prompt.begin();
    while (prompt.end() - at > piece) {
      state_.check_stop();
      decoder_.next_token({at, at + piece}, state_);
      at += piece;
    }
    state_.check_stop();
    result_.prompt_seconds += seconds_since(start);
    return next({at, prompt.end()}, result_.prompt_seconds);
  }

  void go_on(int token, const std::function<void(int)>& on_token) {
    while (!is_stop(token)) {
      result_.tokens.push_back(token);
      if (on_token) {
        on_token(token);
      }
      state_.check_stop();
      if (ended()) {
        return;
      }
      token = next({token}, result_.decode_seconds);
      ++result_.decode_steps;
    }
    result_.finish = Finish::stop;
  }

  bool is_stop(int token) const {
    auto& stops = options_.stop_tokens;
    return std::find(stops.begin(), stops.end(), token) != stops.end();
  }

  // Before a token is fed back.
  bool ended() {
    if (result_.tokens.size() >= static_cast<size_t>(options_.max_tokens)) {
      result_.finish = Finish::length;
    } else if (state_.position() >= state_.capacity()) {
      result_.finish = Finish::context;
    } else {
      return false;
    }
    return true;
  }

  int next(const std::vector<int>& tokens, double& seconds) {
    const auto start = Clock::now();
    const int token = options_.sampling.temperature == 0
        ? decoder_.next_token(tokens, state_)
        : sample(decoder_.forward(tokens, state_));
    seconds += seconds_since(start);
    return token;
  }

  int sample(const mx::array& logits) {
    return sampler_({logits.data<float>(), logits.size()}, state_.position());
  }

  nn::Decoder& decoder_;
  nn::State& state_;
  const SessionOptions& options_;
  Sampler sampler_;
  SessionResult result_;
};

} // namespace

const char* finish_name(Finish finish) {
  switch (finish) {
    case Finish::stop:
      return "stop";
    case Finish::length:
      return "length";
    case Finish::context:
      return "context";
    case Finish::cancelled:
      return "cancelled";
  }
  throw internal_error("unknown end of a generation");
}

std::optional<double> SessionResult::prompt_tokens_per_second() const {
  return rate(prompt_tokens, prompt_seconds);
}

std::optional<double> SessionResult::decode_tokens_per_second() const {
  return rate(decode_steps, decode_seconds);
}

SessionResult generate(
    nn::Decoder& decoder,
    nn::State& state,
    const std::vector<int>& prompt,
    const SessionOptions& options,
    const std::function<void(int token)>& on_token) {
  if (prompt.empty()) {
    throw user_error("the prompt is empty: expected at least one token");
  }
  const auto room = static_cast<size_t>(state.capacity() - state.position());
  if (prompt.size() > room) {
    throw user_error(
        "the prompt of {} tokens does not fit: the context has room for {}",
        prompt.size(),
        room);
  }
  if (options.max_tokens < 0) {
    throw user_error(
        "max-tokens must be at least 0, got {}", options.max_tokens);
  }
  auto result = Session(decoder, state, options).run(prompt, on_token);
  result.peak_memory_bytes = peak_memory();
  return result;
}

} // namespace zmlx::generate
