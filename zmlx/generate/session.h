#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "zmlx/generate/sampler.h"
#include "zmlx/nn/decoder.h"

namespace zmlx::generate {

/// Why a generation ended.
enum class Finish {
  stop, // a stop token
  length, // max_tokens
  context, // the state is full
  cancelled, // the cancel flag
};

/// "stop", "length", "context", "cancelled".
ZMLX_API const char* finish_name(Finish finish);

struct SessionOptions {
  int max_tokens = 100; // at least 0
  std::vector<int> stop_tokens; // end the generation and are not given out
  Sampling sampling;
  /// Looked at again and again while the prompt is read, and between tokens;
  /// may be set by a signal handler. Takes the place of the state's stop_if
  /// while it generates; without it, that one is heard.
  const std::atomic<bool>* cancel = nullptr;
};

/// What one generation did.
struct ZMLX_API SessionResult {
  std::vector<int> tokens; // as given out
  Finish finish = Finish::length;
  int prompt_tokens = 0;
  double prompt_seconds = 0; // until the first token was known
  int decode_steps = 0; // single-token steps after the prompt
  double decode_seconds = 0;
  /// Of the whole process at its peak (base/peak_memory.h), with the model;
  /// nothing where it was not measured.
  std::optional<size_t> peak_memory_bytes;

  /// Nothing where nothing ran.
  std::optional<double> prompt_tokens_per_second() const;
  std::optional<double> decode_tokens_per_second() const;
};

/// Appends `prompt` to the state and generates. `on_token`, if any, is called
/// with each token as it comes, in the calling thread; what it takes counts in
/// no time above. UserError when the prompt is empty or does not fit in the
/// state; nn::LogitsError where the model's logits name no token.
ZMLX_API SessionResult generate(
    nn::Decoder& decoder,
    nn::State& state,
    const std::vector<int>& prompt,
    const SessionOptions& options,
    const std::function<void(int token)>& on_token);

} // namespace zmlx::generate
