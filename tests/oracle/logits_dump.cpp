// What the plain path computes, for comparison with other programs:
//   logits_dump MODEL TOKENS OUT.npy [--steps]
// TOKENS is a list such as 1,15,7. OUT holds (tokens, vocab) float32 logits
// after each token: of one call for all of them, or of one call a token.

#include <charconv>
#include <cstdio>
#include <string>
#include <vector>

#include "zmlx/base/errors.h"
#include "zmlx/models/load.h"

namespace {

namespace mx = mlx::core;

std::vector<int> parse_tokens(const std::string& text) {
  std::vector<int> tokens;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    int token = 0;
    auto [rest, error] = std::from_chars(at, end, token);
    if (error != std::errc() || (rest != end && *rest != ',')) {
      throw zmlx::user_error(
          "TOKENS must be a list such as 1,15,7, got \"{}\"", text);
    }
    tokens.push_back(token);
    at = rest + 1;
  }
  return tokens;
}

mx::array all_logits(
    const zmlx::nn::Model& model,
    const std::vector<int>& tokens,
    bool steps) {
  zmlx::nn::Caches caches;
  for (size_t i = 0; i < model.shape().caches.size(); ++i) {
    caches.push_back(std::make_unique<zmlx::nn::GrowingKVCache>());
  }
  const int n = static_cast<int>(tokens.size());
  if (!steps) {
    return model.forward(mx::array(tokens.data(), {1, n}), caches);
  }
  std::vector<mx::array> rows;
  for (int token : tokens) {
    rows.push_back(model.forward(mx::array({token}, {1, 1}), caches));
    mx::eval(rows.back());
  }
  return mx::concatenate(rows, 1);
}

void run(int argc, char** argv) {
  const bool steps = argc == 5 && std::string(argv[4]) == "--steps";
  if (argc != 4 && !steps) {
    throw zmlx::user_error("usage: logits_dump MODEL TOKENS OUT.npy [--steps]");
  }
  const auto model = zmlx::models::load(argv[1]);
  const auto tokens = parse_tokens(argv[2]);
  auto logits = all_logits(*model, tokens, steps);
  logits = mx::reshape(logits, {-1, model->shape().vocab_size});
  mx::save(argv[3], mx::astype(logits, mx::float32));
}

} // namespace

int main(int argc, char** argv) {
  try {
    run(argc, argv);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "logits_dump: %s\n", error.what());
    return 2;
  }
}
