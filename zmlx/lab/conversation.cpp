#include "zmlx/lab/conversation.h"

namespace zmlx::lab {

Conversation::Conversation(
    std::string side,
    nn::Decoder& decoder,
    const std::vector<int>& prompt,
    int tokens,
    std::function<bool()> stop)
    : side_(std::move(side)),
      decoder_(decoder),
      state_(decoder.new_state(static_cast<int>(prompt.size()) + tokens)),
      start_(static_cast<int>(prompt.size())) {
  state_->stop_if(std::move(stop));
  append(prompt);
  first_logits_ = logits_;
  first_likeliest_ = likeliest_;
}

void Conversation::rewind() {
  state_->trim(state_->position() - start_);
  logits_ = first_logits_;
  likeliest_ = first_likeliest_;
}

void Conversation::step(int token) {
  append({token});
}

int Conversation::next(int token) {
  try {
    return decoder_.next_token({token}, *state_);
  } catch (const nn::LogitsError& error) {
    throw named(error);
  }
}

// What the logits hold is checked here, before it can reach a figure.
void Conversation::append(const std::vector<int>& tokens) {
  try {
    const auto logits = decoder_.forward(tokens, *state_);
    logits_.assign(logits.data<float>(), logits.data<float>() + logits.size());
    likeliest_ = nn::likeliest(logits_, state_->position());
  } catch (const nn::LogitsError& error) {
    throw named(error);
  }
}

nn::LogitsError Conversation::named(const nn::LogitsError& error) const {
  return nn::LogitsError(fmt::format("{}: {}", side_, error.what()));
}

} // namespace zmlx::lab
