#include "zmlx/nn/logits.h"

#include <cmath>

namespace zmlx::nn {

void check_largest(
    float logit,
    std::optional<int> token,
    std::optional<int> position) {
  if (std::isfinite(logit)) {
    return;
  }
  throw LogitsError(fmt::format(
      "the model's logits{} give no next token: the largest{} is {}; its "
      "weights or their format are damaged",
      position ? fmt::format(" at position {}", *position) : "",
      token ? fmt::format(", of token {},", *token) : "",
      std::isnan(logit) ? "nan" : fmt::format("{}", logit)));
}

int likeliest(std::span<const float> logits, std::optional<int> position) {
  if (logits.empty()) {
    throw LogitsError("the model gave no logits to choose a token by");
  }
  size_t best = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) {
      best = i;
      break;
    }
    if (logits[i] > logits[best]) {
      best = i;
    }
  }
  const int token = static_cast<int>(best);
  check_largest(logits[best], token, position);
  return token;
}

} // namespace zmlx::nn
