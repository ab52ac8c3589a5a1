#include "zmlx/patch/patch.h"

#include <cmath>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"
#include "zmlx/models/random.h"
#include "zmlx/models/registry.h"

namespace zmlx {
namespace {

using models::RandomLlama;

std::shared_ptr<const nn::Model> make(const RandomLlama& options) {
  return models::make_model(models::random_llama(options));
}

std::vector<float> values(mx::array a) {
  a.eval();
  return {a.data<float>(), a.data<float>() + a.size()};
}

/// Largest difference over the largest value.
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0;
  double scale = 0;
  for (size_t i = 0; i < a.size(); i++) {
    difference = std::max(difference, std::abs(double{a[i]} - b[i]));
    scale = std::max(scale, std::abs(double{b[i]}));
  }
  return difference / scale;
}

const std::vector<int> kTokens{1, 7, 400, 33, 999, 0, 12, 500, 77, 2};

/// Patched and plain logits agree at every position of a text.
void expect_same_logits(const RandomLlama& options) {
  auto model = make(options);
  auto plain = nn::plain_decoder(model);
  auto patched = patch(model);
  ASSERT_NE(patched->plan(), nullptr) << patched->report().plan_reason;
  auto a = plain->new_state(64);
  auto b = patched->new_state(64);
  for (int token : kTokens) {
    auto expected = values(plain->forward({token}, *a));
    auto got = values(patched->forward({token}, *b));
    ASSERT_EQ(got.size(), expected.size());
    EXPECT_LT(distance(got, expected), 2e-5);
  }
}

TEST(Patch, QuantizedFourBits) {
  expect_same_logits({});
}

TEST(Patch, QuantizedEightBitsGroup64) {
  expect_same_logits({.bits = 8, .group_size = 64});
}

TEST(Patch, Group128LeavesOddLayersDense) {
  expect_same_logits(
      {.hidden = 256, .heads = 4, .ffn = 640, .group_size = 128});
}

TEST(Patch, DenseWeights) {
  expect_same_logits({.bits = 0, .tied = false});
}

TEST(Patch, BiasesAndTraditionalRope) {
  expect_same_logits(
      {.kv_heads = 3,
       .tied = false,
       .attention_bias = true,
       .mlp_bias = true,
       .rope_traditional = true});
}

TEST(Patch, Llama3RopeScaling) {
  expect_same_logits(
      {.rope_scaling = {
           {"rope_type", "llama3"},
           {"factor", 8.0},
           {"low_freq_factor", 1.0},
           {"high_freq_factor", 4.0},
           {"original_max_position_embeddings", 64}}});
}

TEST(Patch, SixLaunchesALayer) {
  auto patched = patch(make({.layers = 4}));
  const auto& report = patched->report();
  // 6 a layer, and the embedding, the head and what joins them.
  EXPECT_LE(report.rounds, 6 * 4 + 3) << report.summary();
  EXPECT_EQ(report.pattern_counts.at("swiglu_mlp"), 4);
  EXPECT_EQ(report.pattern_counts.at("attention"), 4);
  for (const auto& launch : report.launches) {
    EXPECT_TRUE(launch.reason.empty()) << launch.reason;
    EXPECT_FALSE(launch.sites.empty());
  }
}

TEST(Patch, EveryFoldAloneKeepsTheAnswers) {
  auto model = make({});
  auto plain = nn::plain_decoder(model);
  auto state = plain->new_state(16);
  auto expected = values(plain->forward(kTokens, *state));
  const auto folds = patch(model)->report().folds;
  for (const auto& fold : folds) {
    auto patched = patch(model, {.patterns = {fold}});
    auto mine = patched->new_state(16);
    EXPECT_LT(
        distance(values(patched->forward(kTokens, *mine)), expected), 2e-5)
        << fold;
    auto without = patch(model, {.exclude = {fold}});
    auto other = without->new_state(16);
    EXPECT_LT(
        distance(values(without->forward(kTokens, *other)), expected), 2e-5)
        << "without " << fold;
  }
}

TEST(Patch, PromptAtOnceOrTokenByTokenIsTheSame) {
  auto patched = patch(make({}));
  auto at_once = patched->new_state(32);
  auto one_by_one = patched->new_state(32);
  auto a = values(patched->forward(kTokens, *at_once));
  std::vector<float> b;
  for (int token : kTokens) {
    b = values(patched->forward({token}, *one_by_one));
  }
  EXPECT_EQ(a, b);
}

TEST(Patch, ContextGrowsAndThenIsFull) {
  auto model = make({.layers = 1, .max_positions = 64});
  auto patched = patch(model);
  auto plain = nn::plain_decoder(model);
  auto state = patched->new_state(600); // starts at 64, grows past it
  auto other = plain->new_state(600);
  std::vector<int> text;
  for (int i = 0; i < 200; i++) {
    text.push_back((i * 37) % 1001);
  }
  auto a = values(patched->forward(text, *state));
  auto b = values(plain->forward(text, *other));
  EXPECT_LT(distance(a, b), 2e-5);
  EXPECT_EQ(state->position(), 200);
  EXPECT_THROW(patched->forward(std::vector<int>(401, 1), *state), UserError);
  EXPECT_EQ(state->position(), 200); // nothing was lost
  patched->forward(std::vector<int>(400, 1), *state);
  EXPECT_THROW(patched->forward({1}, *state), UserError);
}

TEST(Patch, TrimRewindsExactly) {
  auto patched = patch(make({}));
  auto state = patched->new_state(32);
  patched->forward(kTokens, *state);
  auto before = values(patched->forward({5}, *state));
  state->trim(1);
  EXPECT_EQ(values(patched->forward({5}, *state)), before);
  state->trim(3);
  EXPECT_EQ(state->position(), 8);
  EXPECT_THROW(state->trim(9), UserError);
}

TEST(Patch, CopiesGoTheirOwnWay) {
  auto patched = patch(make({}));
  auto state = patched->new_state(32);
  patched->forward(kTokens, *state);
  auto twin = state->copy();
  auto a = values(patched->forward({5}, *state));
  patched->forward({6}, *twin);
  twin->trim(1);
  EXPECT_EQ(values(patched->forward({5}, *twin)), a);
}

TEST(Patch, WrongUseIsRefusedAndLosesNothing) {
  auto patched = patch(make({}));
  auto stranger = patch(make({}));
  auto state = patched->new_state(8);
  EXPECT_THROW(patched->forward({}, *state), UserError);
  EXPECT_THROW(patched->forward({-1}, *state), UserError);
  EXPECT_THROW(patched->forward({1001}, *state), UserError);
  EXPECT_THROW(stranger->forward({1}, *state), UserError);
  EXPECT_THROW(patched->new_state(0), UserError);
  EXPECT_THROW(patch(make({}), {.patterns = {"nothing"}}), UserError);
  EXPECT_EQ(state->position(), 0);
  patched->forward({1}, *state);
}

TEST(Patch, UnpatchedIsBitForBitWhatWasNeverPatched) {
  auto model = make({});
  auto never = nn::plain_decoder(model);
  auto state = never->new_state(32);
  auto expected = values(never->forward(kTokens, *state));
  auto patched = patch(model);
  auto mine = patched->new_state(128);
  for (int i = 0; i < 64; i++) {
    patched->forward({i}, *mine);
  }
  mine.reset();
  auto plain = unpatch(std::move(patched));
  auto again = plain->new_state(32);
  EXPECT_EQ(values(plain->forward(kTokens, *again)), expected);
}

} // namespace
} // namespace zmlx
