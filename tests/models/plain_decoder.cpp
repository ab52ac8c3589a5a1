#include <gtest/gtest.h>

#include "zmlx/base/errors.h"
#include "zmlx/models/random.h"
#include "zmlx/models/registry.h"

namespace zmlx::nn {
namespace {

std::shared_ptr<Model> small_model() {
  return models::make_model(models::random_llama(
      {.hidden = 64, .layers = 2, .heads = 2, .ffn = 96, .vocab = 101}));
}

std::vector<int> sequence(int length) {
  std::vector<int> tokens;
  for (int i = 0; i < length; ++i) {
    tokens.push_back((i * 37 + 11) % 101);
  }
  return tokens;
}

// The logits after the last token, all tokens in one call of the model.
mx::array at_once(const Model& model, const std::vector<int>& tokens) {
  Caches caches;
  for (size_t i = 0; i < model.shape().caches.size(); ++i) {
    caches.push_back(std::make_unique<GrowingKVCache>());
  }
  const int n = static_cast<int>(tokens.size());
  auto all = model.forward(mx::array(tokens.data(), {1, n}), caches);
  return mx::reshape(mx::slice(all, {0, n - 1, 0}, {1, n, all.shape(2)}), {-1});
}

double distance(const mx::array& a, const mx::array& b) {
  auto gap = mx::max(mx::abs(mx::subtract(a, b)));
  return mx::divide(gap, mx::max(mx::abs(b))).item<float>();
}

TEST(PlainDecoder, AnySplitOfThePromptGivesTheSameLogits) {
  auto model = small_model();
  auto decoder = plain_decoder(model);
  const auto tokens = sequence(2300); // two chunks of the prompt and the last
  const auto expected = at_once(*model, tokens);
  auto whole = decoder->new_state(4096);
  auto logits = decoder->forward(tokens, *whole);
  EXPECT_EQ(logits.shape(), mx::Shape{101});
  EXPECT_EQ(logits.dtype(), mx::float32);
  EXPECT_EQ(whole->position(), 2300);
  EXPECT_LT(distance(logits, expected), 1e-4);

  auto parts = decoder->new_state(4096);
  auto from = tokens.begin();
  for (int length : {1, 255, 1, 1, 2041, 1}) {
    logits = decoder->forward({from, from + length}, *parts);
    from += length;
  }
  EXPECT_EQ(parts->position(), 2300);
  EXPECT_LT(distance(logits, expected), 1e-4);
}

TEST(PlainDecoder, TrimAndCopyRewindAndBranch) {
  auto decoder = plain_decoder(small_model());
  auto state = decoder->new_state(600);
  decoder->forward(sequence(300), *state);
  auto branch = state->copy();
  auto direct = decoder->forward({5}, *state);
  decoder->forward({9}, *branch);
  decoder->forward({8}, *branch);
  branch->trim(2);
  EXPECT_EQ(branch->position(), 300);
  auto again = decoder->forward({5}, *branch);
  EXPECT_TRUE(mx::array_equal(direct, again).item<bool>());
  state->trim(301);
  EXPECT_EQ(state->position(), 0);
}

TEST(PlainDecoder, MemoryIsThatOfTheBlocksHeld) {
  auto decoder = plain_decoder(small_model());
  auto state = decoder->new_state(600);
  EXPECT_EQ(state->memory_bytes(), 0u);
  decoder->forward({1}, *state);
  // 2 layers of keys and values, 1 head of 32 floats, 256 positions.
  EXPECT_EQ(state->memory_bytes(), 2u * 2 * 32 * 4 * 256);
}

std::string refusal(const std::function<void()>& act) {
  try {
    act();
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

TEST(PlainDecoder, RefusesWhatDoesNotFit) {
  auto decoder = plain_decoder(small_model());
  auto state = decoder->new_state(4);
  auto says = [&](const std::vector<int>& tokens) {
    return refusal([&] { decoder->forward(tokens, *state); });
  };
  EXPECT_EQ(says({}), "forward: expected at least one token, got none");
  EXPECT_EQ(
      says({101}), "forward: token 101 is not in the vocabulary of 101 tokens");
  EXPECT_EQ(
      says({-1}), "forward: token -1 is not in the vocabulary of 101 tokens");
  decoder->forward({1, 2}, *state);
  EXPECT_EQ(
      says({1, 2, 3}), "the context is full: 3 tokens do not fit after 2 of 4");
  EXPECT_EQ(state->position(), 2);
  decoder->forward({1, 2}, *state);
  EXPECT_EQ(says({1}), "the context is full: 1 tokens do not fit after 4 of 4");
  EXPECT_NE(refusal([&] { state->trim(5); }), "no error");
  EXPECT_NE(refusal([&] { decoder->new_state(0); }), "no error");
  auto other = plain_decoder(small_model());
  EXPECT_NE(refusal([&] { other->forward({1}, *state); }), "no error");
}

TEST(PlainDecoder, RefusesAContextBeyondMemory) {
  auto decoder = plain_decoder(models::make_model(models::random_llama(
      {.hidden = 512,
       .layers = 2,
       .heads = 1,
       .ffn = 32,
       .vocab = 11,
       .bits = 0})));
  auto message = refusal([&] { decoder->new_state(2'000'000'000); });
  EXPECT_NE(message.find("2000000000 tokens"), std::string::npos) << message;
}

} // namespace
} // namespace zmlx::nn
