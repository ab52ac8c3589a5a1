#include "zmlx/generate/session.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"
#include "zmlx/models/random.h"
#include "zmlx/models/registry.h"
#include "zmlx/nn/logits.h"

namespace zmlx::generate {
namespace {

namespace mx = mlx::core;

class Session : public testing::Test {
 protected:
  std::unique_ptr<nn::Decoder> decoder =
      nn::plain_decoder(models::make_model(models::random_llama(
          {.hidden = 64, .layers = 2, .heads = 2, .ffn = 96, .vocab = 101})));
  const std::vector<int> prompt = {5, 17, 100, 3};
  std::vector<int> seen;

  SessionResult run(const SessionOptions& options, int capacity = 100) {
    auto state = decoder->new_state(capacity);
    seen.clear();
    auto result = generate(
        *decoder, *state, prompt, options, [&](int t) { seen.push_back(t); });
    EXPECT_EQ(seen, result.tokens);
    EXPECT_EQ(result.prompt_tokens, 4);
    return result;
  }

  // Greedy continuation through the decoder alone.
  std::vector<int> greedy(int count) {
    auto state = decoder->new_state(100);
    auto next = prompt;
    std::vector<int> tokens;
    for (int i = 0; i < count; ++i) {
      auto logits = decoder->forward(next, *state);
      const float* first = logits.data<float>();
      tokens.push_back(static_cast<int>(
          std::max_element(first, first + logits.size()) - first));
      next = {tokens.back()};
    }
    return tokens;
  }
};

TEST_F(Session, GreedyFollowsTheDecoder) {
  auto result = run({.max_tokens = 20});
  EXPECT_EQ(result.tokens, greedy(20));
  EXPECT_EQ(result.finish, Finish::length);
  EXPECT_EQ(result.decode_steps, 19);
  EXPECT_GT(result.prompt_tokens_per_second(), 0);
  EXPECT_GT(result.decode_tokens_per_second(), 0);
  EXPECT_GT(result.peak_memory_bytes, 0u);
}

TEST_F(Session, StopTokensEndAndAreNotGivenOut) {
  auto all = greedy(20);
  const int stop = all[7];
  const auto first = std::find(all.begin(), all.end(), stop);
  auto result = run({.max_tokens = 20, .stop_tokens = {stop}});
  EXPECT_EQ(result.tokens, std::vector<int>(all.begin(), first));
  EXPECT_EQ(result.finish, Finish::stop);
}

TEST_F(Session, SeedsRepeat) {
  auto tokens = [&](uint64_t seed) {
    return run({.max_tokens = 20, .sampling = {.temperature = 2, .seed = seed}})
        .tokens;
  };
  EXPECT_EQ(tokens(1), tokens(1));
  EXPECT_NE(tokens(1), tokens(2));
}

TEST_F(Session, EndsWhereTheContextIsFull) {
  // The last token needs no room: it is not fed back.
  auto result = run({.max_tokens = 20}, 10);
  EXPECT_EQ(result.tokens, greedy(7));
  EXPECT_EQ(result.finish, Finish::context);
}

TEST_F(Session, NoTokensWanted) {
  auto result = run({.max_tokens = 0});
  EXPECT_TRUE(result.tokens.empty());
  EXPECT_EQ(result.finish, Finish::length);
  EXPECT_EQ(result.prompt_tokens_per_second(), std::nullopt);
  EXPECT_EQ(result.decode_tokens_per_second(), std::nullopt);
}

TEST_F(Session, CancelStopsBetweenTokens) {
  std::atomic<bool> cancel = false;
  auto state = decoder->new_state(100);
  int count = 0;
  auto result =
      generate(*decoder, *state, prompt, {.cancel = &cancel}, [&](int) {
        cancel = ++count == 3;
      });
  EXPECT_EQ(result.tokens, greedy(3));
  EXPECT_EQ(result.finish, Finish::cancelled);
  EXPECT_EQ(run({.cancel = &cancel}).tokens.size(), 0u);
}

// The session asks twice before it reads the prompt, and the decoder before
// each of two layers of the chunk that all but the last token are.
TEST_F(Session, AStopIsHeardWithinAPrompt) {
  const std::vector<int> long_prompt(60, 7); // one piece
  for (int asks : {3, 4, 5}) {
    auto state = decoder->new_state(300);
    state->stop_if([&] { return --asks == 0; });
    auto result = generate(*decoder, *state, long_prompt, {}, nullptr);
    EXPECT_EQ(result.finish, Finish::cancelled);
    // Of a chunk all or nothing is kept; after it comes the first token.
    const bool is_read = !result.tokens.empty();
    EXPECT_EQ(state->position(), is_read ? 60 : 0);
    EXPECT_EQ(result.tokens.size(), is_read ? 1u : 0u);
    EXPECT_EQ(asks, 0);
    // The state can be used on.
    state->trim(state->position());
    auto again = generate(*decoder, *state, prompt, {.max_tokens = 9}, nullptr);
    EXPECT_EQ(again.tokens, greedy(9));
  }
}

TEST_F(Session, AStateForgetsTheCancelOfItsSession) {
  std::atomic<bool> cancel = false;
  auto state = decoder->new_state(100);
  generate(*decoder, *state, prompt, {.max_tokens = 1, .cancel = &cancel}, {});
  cancel = true;
  EXPECT_NO_THROW(state->check_stop());
}

// Whoever allocates it: the figure is the process's.
TEST_F(Session, PeakMemoryCountsWhatMlxDoesNotAllocate) {
  constexpr size_t size = 300 << 20;
  auto state = decoder->new_state(100);
  auto result = generate(*decoder, *state, prompt, {.max_tokens = 2}, [&](int) {
    std::vector<char> touched(size, 1);
    EXPECT_EQ(touched[size / 2], 1);
  });
  ASSERT_TRUE(result.peak_memory_bytes);
  EXPECT_GE(*result.peak_memory_bytes, size);
}

/// A model whose weight `name` holds `value` in row `row`.
std::unique_ptr<nn::Decoder>
damaged(const std::string& name, int row, float value) {
  auto files = models::random_llama(
      {.hidden = 64,
       .layers = 2,
       .heads = 2,
       .ffn = 96,
       .vocab = 101,
       .bits = 0,
       .tied = false});
  auto& weight = files.weights.at(name);
  const int columns = weight.shape(1);
  weight = mx::slice_update(
      weight,
      mx::full({1, columns}, value, weight.dtype()),
      mx::Shape{row, 0},
      mx::Shape{row + 1, columns});
  mx::eval(weight);
  return nn::plain_decoder(models::make_model(std::move(files)));
}

TEST_F(Session, DamagedWeightsAreAnErrorForEveryWayToChoose) {
  const float nan = std::nanf("");
  struct Case {
    std::string weight;
    int row;
    float value;
    std::string expected; // token and logit
  };
  for (const auto& c : std::vector<Case>{
           {"lm_head.weight", 17, nan, "of token 17, is nan"},
           {"model.layers.1.mlp.up_proj.weight", 3, nan, "of token 0, is nan"},
           {"model.embed_tokens.weight", 3, nan, "of token 0, is nan"}}) {
    decoder = damaged(c.weight, c.row, c.value);
    for (double temperature : {0.0, 1.0}) {
      std::string message = "no error";
      try {
        run({.sampling = {.temperature = temperature}});
      } catch (const nn::LogitsError& error) {
        message = error.what();
      }
      EXPECT_EQ(
          message,
          "the model's logits at position 4 give no next token: the largest, " +
              c.expected + "; its weights or their format are damaged");
    }
    auto state = decoder->new_state(10);
    decoder->submit(3, *state);
    EXPECT_THROW(decoder->poll(*state), nn::LogitsError);
  }
}

TEST_F(Session, RefusesWhatCannotBe) {
  auto state = decoder->new_state(3);
  auto ignore = [](int) {};
  EXPECT_THROW(generate(*decoder, *state, {}, {}, ignore), UserError);
  EXPECT_THROW(generate(*decoder, *state, prompt, {}, ignore), UserError);
  EXPECT_THROW(
      generate(*decoder, *state, {1}, {.max_tokens = -1}, ignore), UserError);
}

} // namespace
} // namespace zmlx::generate
