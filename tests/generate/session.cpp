#include "zmlx/generate/session.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"
#include "zmlx/models/random.h"
#include "zmlx/models/registry.h"

namespace zmlx::generate {
namespace {

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
  EXPECT_EQ(result.decode_tokens_per_second(), 0);
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
