#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "zmlx/nn/decoder.h"
#include "zmlx/nn/logits.h"

namespace zmlx::lab {

/// One way to run a model, on one prompt: the prompt is read once, and every
/// generation starts from there. nn::LogitsError, whose message begins with the
/// side ("unpatched"), as soon as logits name no token; nn::Stopped once
/// `stop`, asked again and again, returns true.
class Conversation {
 public:
  Conversation(
      std::string side,
      nn::Decoder& decoder,
      const std::vector<int>& prompt,
      int tokens,
      std::function<bool()> stop);

  /// Back to where the prompt ends.
  void rewind();
  /// Appends a token; logits() are those after it then.
  void step(int token);
  /// Appends a token and returns the likeliest after it; logits() are not made.
  int next(int token);
  /// After the prompt or the last step().
  const std::vector<float>& logits() const {
    return logits_;
  }
  /// The likeliest token by logits().
  int likeliest() const {
    return likeliest_;
  }

 private:
  void append(const std::vector<int>& tokens);
  nn::LogitsError named(const nn::LogitsError& error) const;

  std::string side_;
  nn::Decoder& decoder_;
  std::unique_ptr<nn::State> state_;
  int start_; // tokens of the prompt
  std::vector<float> logits_;
  int likeliest_ = 0;
  std::vector<float> first_logits_; // after the prompt
  int first_likeliest_ = 0;
};

} // namespace zmlx::lab
