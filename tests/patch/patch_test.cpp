#include "zmlx/patch/patch.h"

#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "tests/peer/chosen.h"
#include "zmlx/base/errors.h"
#include "zmlx/models/random.h"
#include "zmlx/models/registry.h"
#include "zmlx/nn/logits.h"
#include "zmlx/op/elementwise.h"
#include "zmlx/plan/plan.h"

namespace zmlx {
namespace {

using models::RandomLlama;

/// A patched model whose step runs on the device that is tested.
std::unique_ptr<PatchedDecoder> patch_here(
    std::shared_ptr<const nn::Model> model,
    PatchOptions options = {}) {
  options.device = test_peer::chosen_device();
  return patch(std::move(model), options);
}

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
  auto patched = patch_here(model);
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

/// A model of one attention layer, with a step of one's own after it.
class OddModel : public nn::Model {
 public:
  using Middle = std::function<mx::array(const mx::array&)>;

  explicit OddModel(
      Middle middle,
      bool own_attention = false,
      mx::Dtype dtype = mx::float32)
      : middle_(std::move(middle)), own_attention_(own_attention) {
    embedding_ = mx::astype(embedding_, dtype);
    embedding_.eval();
    shape_ = {
        .model_type = "odd",
        .vocab_size = 50,
        .max_positions = 64,
        .caches = {{.kv_heads = 2, .head_dim = 16, .dtype = dtype}}};
  }
  const nn::DecoderShape& shape() const override {
    return shape_;
  }
  mx::array forward(const mx::array& tokens, nn::Caches& caches)
      const override {
    int length = tokens.shape(1);
    auto h = mx::take(embedding_, tokens, 0);
    auto heads =
        mx::transpose(mx::reshape(h, {1, length, 2, 16}), {0, 2, 1, 3});
    auto q = nn::fast().rope(
        heads, 16, false, 10000.0f, 1.0f, caches[0]->offset(), std::nullopt);
    auto [k, v] = caches[0]->update_and_fetch(q * 0.5f, heads);
    auto a = own_attention_ && length == 1
        ? mx::matmul(
              mx::softmax(
                  mx::matmul(q * 0.25f, mx::transpose(k, {0, 1, 3, 2})), -1),
              v)
        : nn::fast().attention(
              q, k, v, 0.25f, length > 1 ? "causal" : "", std::nullopt);
    h = h + mx::reshape(mx::transpose(a, {0, 2, 1, 3}), {1, length, 32});
    return mx::matmul(middle_(h), mx::transpose(embedding_));
  }
  std::vector<std::pair<std::string, mx::array>> parameters() const override {
    return {{"embedding", embedding_}};
  }
  void set_embedding(const mx::array& embedding) {
    embedding_ = embedding;
  }

 private:
  Middle middle_;
  bool own_attention_;
  nn::DecoderShape shape_;
  mx::array embedding_ =
      mx::random::normal({50, 32}, mx::float32, 0, 1, mx::random::key(3));
};

void expect_same_answers(
    const OddModel::Middle& middle,
    bool planned,
    bool own_attention = false) {
  auto model = std::make_shared<OddModel>(middle, own_attention);
  auto plain = nn::plain_decoder(model);
  auto patched = patch_here(model);
  EXPECT_EQ(patched->plan() != nullptr, planned)
      << patched->report().plan_reason;
  auto a = plain->new_state(100);
  auto b = patched->new_state(100); // beyond the first capacity of 64
  std::vector<int> text;
  for (int i = 0; i < 70; i++) {
    text.push_back((i * 7) % 50);
  }
  auto expected = values(plain->forward(text, *a));
  EXPECT_LT(distance(values(patched->forward(text, *b)), expected), 2e-5);
  auto twin = b->copy();
  expected = values(plain->forward({3}, *a));
  EXPECT_LT(distance(values(patched->forward({3}, *b)), expected), 2e-5);
  EXPECT_LT(distance(values(patched->forward({3}, *twin)), expected), 2e-5);
  b->trim(1);
  EXPECT_LT(distance(values(patched->forward({3}, *b)), expected), 2e-5);
}

TEST(Patch, AModelOfOnesOwnIsPlanned) {
  expect_same_answers([](const mx::array& h) { return mx::tanh(h); }, true);
}

TEST(Patch, FoldsKeepTheTypesBetweenOperations) {
  auto to_int = [](const mx::array& h) {
    return mx::astype(h * 10.0f, mx::int32);
  };
  // Integers divide as floats here, as integers there.
  expect_same_answers(
      [&](const mx::array& h) {
        return mx::divide(to_int(h), mx::array(4)) + h;
      },
      true);
  expect_same_answers(
      [&](const mx::array& h) {
        auto big = mx::astype(to_int(h) * mx::array(5000), mx::float32);
        return mx::square(big) * 1e-10f;
      },
      true);
}

TEST(Patch, SixteenBitsModelsRoundWhereTheyStore) {
  for (auto dtype : {mx::float16, mx::bfloat16}) {
    auto model = std::make_shared<OddModel>(
        [](const mx::array& h) { return mx::tanh(h); }, false, dtype);
    auto plain = nn::plain_decoder(model);
    auto patched = patch_here(model);
    auto a = plain->new_state(32);
    auto b = patched->new_state(32);
    for (int token : {1, 7, 40, 3}) {
      auto expected = values(plain->forward({token}, *a));
      auto got = values(patched->forward({token}, *b));
      EXPECT_LT(distance(got, expected), dtype == mx::float16 ? 4e-3 : 3e-2);
    }
  }
}

TEST(Patch, WhatJoinsTheCacheWritesWaitsForNothingOfTheirs) {
  expect_same_answers(
      [](const mx::array& h) { return mx::softmax(h, -1) + h; }, true);
}

TEST(Patch, OtherWeightsAreCapturedAgain) {
  auto model =
      std::make_shared<OddModel>([](const mx::array& h) { return h * 2.f; });
  auto patched = patch_here(model);
  auto before = patched->new_state(16);
  const auto old = values(patched->forward({7}, *before));
  auto other =
      mx::random::normal({50, 32}, mx::float32, 0, 1, mx::random::key(8));
  other.eval();
  model->set_embedding(other);
  auto plain = nn::plain_decoder(model);
  auto a = plain->new_state(16);
  auto b = patched->new_state(16);
  const auto fresh = values(patched->forward({7}, *b));
  EXPECT_LT(distance(fresh, values(plain->forward({7}, *a))), 2e-5);
  EXPECT_GT(distance(fresh, old), 0.1);
}

TEST(Patch, TokensAreChosenInsideTheStep) {
  const auto noisy = elementwise(
      "x / 0.8 - log(-log(uniform(seed)))",
      {.inputs = {"x"}, .scalars = {"seed"}});
  const auto choose = [&](const mx::array& logits, const mx::array& position) {
    return mx::argmax(noisy(logits, position), -1);
  };
  auto model = make({});
  auto patched = patch_here(model, {.choose = choose});
  ASSERT_NE(patched->plan(), nullptr) << patched->report().plan_reason;
  auto inside = patched->new_state(32);
  auto outside = patched->new_state(32);
  int token = 5;
  std::set<int> seen;
  for (int position = 0; position < 20; position++) {
    auto logits = patched->forward({token}, *outside);
    auto chosen = choose(mx::reshape(logits, {1, 1, -1}), mx::array(position));
    token = patched->next_token({token}, *inside);
    EXPECT_EQ(static_cast<uint32_t>(token), chosen.item<uint32_t>());
    seen.insert(token);
  }
  EXPECT_GT(seen.size(), 5u); // noise decides
}

TEST(Patch, AChooserThatChoosesNoTokenIsRefused) {
  const auto two = [](const mx::array& logits, const mx::array&) {
    return mx::argmax(mx::concatenate({logits, logits}, 1), -1);
  };
  try {
    patch_here(make({}), {.choose = two});
    FAIL();
  } catch (const UserError& e) {
    EXPECT_STREQ(
        e.what(),
        "patch: no step to choose tokens in: choose: expected one integer, got "
        "2 of type uint32");
  }
}

TEST(Patch, StepsInFlightGiveTheTokensOfStepsThatAreWaitedFor) {
  auto model = make({});
  std::vector<std::unique_ptr<nn::Decoder>> decoders;
  decoders.push_back(nn::plain_decoder(model));
  decoders.push_back(patch_here(model));
  for (auto& decoder : decoders) {
    auto waited = decoder->new_state(32);
    auto queued = decoder->new_state(32);
    std::vector<int> expected{decoder->next_token({3, 5, 9}, *waited)};
    for (int i = 0; i < 6; i++) {
      expected.push_back(decoder->next_token({expected.back()}, *waited));
    }
    EXPECT_THROW(decoder->submit(std::nullopt, *queued), UserError);
    EXPECT_THROW(decoder->poll(*queued), UserError);
    std::vector<int> got{decoder->next_token({3, 5, 9}, *queued)};
    decoder->submit(got[0], *queued);
    for (int i = 0; i < 5; i++) {
      decoder->submit(std::nullopt, *queued);
      EXPECT_THROW(decoder->next_token({1}, *queued), UserError);
      EXPECT_THROW(queued->trim(1), UserError);
      EXPECT_THROW(queued->copy(), UserError);
      got.push_back(decoder->poll(*queued));
    }
    got.push_back(decoder->poll(*queued));
    EXPECT_EQ(got, expected);
    EXPECT_EQ(queued->position(), waited->position());
  }
}

TEST(Patch, ALikeliestTokenIsThatOfTheLogits) {
  auto model = make({});
  auto patched = patch_here(model);
  auto plain = nn::plain_decoder(model);
  auto a = patched->new_state(32);
  auto b = patched->new_state(32);
  auto c = plain->new_state(32);
  for (int token : kTokens) {
    auto logits = values(patched->forward({token}, *a));
    auto best = std::max_element(logits.begin(), logits.end());
    EXPECT_EQ(patched->next_token({token}, *b), best - logits.begin());
    EXPECT_EQ(plain->next_token({token}, *c), best - logits.begin());
  }
}

TEST(Patch, AStateOutlivesItsDecoder) {
  auto patched = patch_here(make({}));
  auto state = patched->new_state(32);
  patched->forward(kTokens, *state);
  patched.reset();
  auto twin = state->copy();
  EXPECT_EQ(twin->position(), static_cast<int>(kTokens.size()));
}

TEST(Patch, AnOperationWithoutKernelRunsInMlxWithItsReason) {
  auto middle = [](const mx::array& h) { return mx::sort(h, -1); };
  expect_same_answers(middle, false);
  auto report = patch_here(std::make_shared<OddModel>(middle))->report();
  EXPECT_NE(report.plan_reason.find("Sort"), std::string::npos);
  EXPECT_NE(report.summary().find("Sort"), std::string::npos);
}

TEST(Patch, AttentionInOperationsOfItsOwnRunsAsTheOriginal) {
  auto middle = [](const mx::array& h) { return h; };
  expect_same_answers(middle, false, true);
  auto report = patch_here(std::make_shared<OddModel>(middle, true))->report();
  EXPECT_NE(report.plan_reason.find("only attention may"), std::string::npos);
}

TEST(Patch, AStepThatReadsItsDataRunsAsTheOriginal) {
  auto middle = [](const mx::array& h) {
    auto x = mx::sum(h);
    return h * (x.item<float>() > 0 ? 1.0f : 2.0f);
  };
  expect_same_answers(middle, false);
  auto report = patch_here(std::make_shared<OddModel>(middle))->report();
  EXPECT_NE(report.plan_reason.find("cannot be captured"), std::string::npos);
}

template <typename Error = UserError, typename Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// Through a plan, as MLX arrays, and as the original.
TEST(Patch, LogitsThatNameNoTokenAreAnErrorWhateverRuns) {
  const auto spoiled = [](float by) {
    return [by](const mx::array& h) { return h + mx::array(by); };
  };
  const auto sorted = [](const mx::array& h) {
    return mx::sort(h + mx::array(std::nanf("")), -1);
  };
  for (const auto& model :
       {std::make_shared<OddModel>(spoiled(std::nanf(""))),
        std::make_shared<OddModel>(spoiled(INFINITY)),
        std::make_shared<OddModel>(sorted),
        std::make_shared<OddModel>(spoiled(std::nanf("")), true)}) {
    auto patched = patch_here(model);
    auto state = patched->new_state(16);
    EXPECT_THROW(patched->next_token({1, 2}, *state), nn::LogitsError);
    EXPECT_THROW(
        {
          patched->submit(1, *state);
          patched->poll(*state);
        },
        nn::LogitsError);
  }
}

// Also where a function inside the step chooses another token.
TEST(Patch, LogitsThatNameNoTokenAreNamed) {
  const auto spoiled = [](const mx::array& h) {
    return h + mx::array(std::nanf(""));
  };
  const auto least = [](const mx::array& logits, const mx::array&) {
    return mx::argmin(logits, -1);
  };
  for (const auto& options : {PatchOptions{}, PatchOptions{.choose = least}}) {
    auto patched = patch_here(std::make_shared<OddModel>(spoiled), options);
    auto state = patched->new_state(16);
    EXPECT_EQ(
        message_of<nn::LogitsError>([&] {
          patched->next_token({1, 2, 3}, *state);
        }),
        "the model's logits at position 3 give no next token: the largest, of "
        "token 0, is nan; its weights or their format are damaged");
    patched->submit(1, *state);
    patched->submit(2, *state);
    EXPECT_EQ(
        message_of<nn::LogitsError>([&] { patched->poll(*state); }),
        "the model's logits at position 4 give no next token: the largest is "
        "nan; its weights or their format are damaged");
  }
}

TEST(Patch, ATokenThatWasChosenOutsideTheVocabularyIsAnError) {
  const auto tanh = [](const mx::array& h) { return mx::tanh(h); };
  const auto sort = [](const mx::array& h) { return mx::sort(h, -1); };
  for (const auto& middle : {OddModel::Middle(tanh), OddModel::Middle(sort)}) {
    for (const int token : {1'000'000, -7}) {
      const auto outside = [=](const mx::array& logits, const mx::array&) {
        const auto any = mx::astype(mx::argmax(logits, -1), mx::int32);
        return any * mx::array(0) + mx::array(token);
      };
      auto patched =
          patch_here(std::make_shared<OddModel>(middle), {.choose = outside});
      const auto expected = fmt::format(
          "choose: {} is not in the vocabulary of {} tokens",
          token,
          patched->shape().vocab_size);
      auto state = patched->new_state(16);
      EXPECT_EQ(
          message_of([&] { patched->next_token({1}, *state); }), expected);
      auto other = patched->new_state(16);
      EXPECT_EQ(
          message_of([&] {
            patched->submit(1, *other);
            patched->submit({}, *other); // reads the row of that token
            patched->poll(*other);
          }),
          expected);
    }
  }
}

TEST(Patch, WhatChooseThrowsSaysSo) {
  const auto model = make({.layers = 1});
  EXPECT_EQ(
      message_of([&] {
        patch_here(
            model,
            {.choose = [](const mx::array&, const mx::array&) -> mx::array {
              throw std::runtime_error("boo");
            }});
      }),
      "patch: no step to choose tokens in: choose: boo");
}

TEST(Patch, ADeviceThatIsNotThereIsRefused) {
  if (mx::is_available(mx::Device::gpu)) {
    GTEST_SKIP() << "there is a GPU";
  }
  EXPECT_EQ(
      message_of(
          [&] { patch(make({.layers = 1}), {.device = mx::Device::gpu}); }),
      "patch: MLX has no device gpu 0 on this machine");
}

/// A model whose weights, and whose way to compute, are replaced.
class Changing : public nn::Model {
 public:
  explicit Changing(std::shared_ptr<const nn::Model> first)
      : now(std::move(first)) {}
  const nn::DecoderShape& shape() const override {
    return now->shape();
  }
  mx::array forward(const mx::array& tokens, nn::Caches& caches)
      const override {
    return now->forward(tokens, caches);
  }
  std::vector<std::pair<std::string, mx::array>> parameters() const override {
    return now->parameters();
  }
  std::shared_ptr<const nn::Model> now;
};

TEST(Patch, ConversationsGoOnWhenTheModelIsCapturedAnew) {
  const auto tanh = [](const mx::array& h) { return mx::tanh(h); };
  const auto captured = std::make_shared<OddModel>(tanh);
  const auto not_captured = std::make_shared<OddModel>(tanh, true);
  const auto model = std::make_shared<Changing>(captured);
  auto patched = patch_here(model);
  const auto expected = [&] {
    auto state = patched->new_state(16);
    patched->next_token({1, 2}, *state);
    return patched->next_token({3}, *state);
  }();
  auto first = patched->new_state(16);
  patched->next_token({1, 2}, *first);

  model->now = not_captured;
  auto second = patched->new_state(16);
  EXPECT_TRUE(patched->report().outcome().starts_with("not patched: "));
  EXPECT_EQ(patched->plan(), nullptr);
  EXPECT_EQ(patched->next_token({3}, *first), expected);
  patched->next_token({1, 2}, *second);

  model->now = captured;
  auto third = patched->new_state(16);
  EXPECT_TRUE(patched->report().outcome().starts_with("patched: "));
  EXPECT_NO_THROW(patched->forward({3}, *second));
  EXPECT_NO_THROW(patched->submit(4, *second));
  EXPECT_NO_THROW(patched->poll(*second));
  EXPECT_EQ(second->copy()->position(), 4);
  EXPECT_EQ(first->copy()->position(), 3);
  patched->next_token({1, 2}, *third);
  EXPECT_EQ(patched->next_token({3}, *third), expected);

  auto other = patch_here(model);
  EXPECT_EQ(
      message_of([&] { other->next_token({1}, *second); }),
      "forward: the state belongs to another decoder");
}

TEST(Patch, AStopIsHeardBetweenTheTokensOfAPrompt) {
  const auto tanh = [](const mx::array& h) { return mx::tanh(h); };
  const auto sort = [](const mx::array& h) { return mx::sort(h, -1); };
  for (const auto& middle : {OddModel::Middle(tanh), OddModel::Middle(sort)}) {
    auto patched = patch_here(std::make_shared<OddModel>(middle));
    const std::vector<int> text(40, 3);
    auto whole = patched->new_state(64);
    const auto expected = patched->next_token(text, *whole);
    auto state = patched->new_state(64);
    int asks = 0;
    state->stop_if([&] { return ++asks > 10; });
    EXPECT_THROW(patched->next_token(text, *state), nn::Stopped);
    EXPECT_EQ(state->position(), 10);
    EXPECT_NO_THROW(state->copy()->check_stop());
    state->stop_if({});
    EXPECT_EQ(patched->next_token(std::vector<int>(30, 3), *state), expected);
  }
}

TEST(Patch, OneLineSaysWhatRuns) {
  const auto outcome = [](OddModel::Middle middle, bool own_attention) {
    return patch_here(
               std::make_shared<OddModel>(std::move(middle), own_attention))
        ->report()
        .outcome();
  };
  const auto tanh = [](const mx::array& h) { return mx::tanh(h); };
  const auto sort = [](const mx::array& h) { return mx::sort(h, -1); };
  const auto planned = patch_here(std::make_shared<OddModel>(tanh));
  EXPECT_EQ(
      planned->report().outcome(),
      fmt::format(
          "patched: {} launches a token", planned->plan()->rounds().size()));
  const auto without_plan = outcome(sort, false);
  EXPECT_TRUE(without_plan.starts_with("patched without a plan: Sort: "))
      << without_plan;
  EXPECT_NE(without_plan.find("; runs as MLX arrays with "), std::string::npos)
      << without_plan;
  const auto original = outcome(tanh, true);
  EXPECT_TRUE(original.starts_with("not patched: ")) << original;
  EXPECT_TRUE(original.ends_with("; runs as stock MLX")) << original;
}

TEST(Patch, NotesOfFoldsAreInTheReport) {
  // Random float32 weights are not those of 16 bits.
  const auto report =
      patch_here(make({.bits = 0, .dtype = mx::float32}))->report();
  std::set<std::string> places;
  for (const auto& note : report.notes) {
    if (note.fold == "narrow_constants") {
      EXPECT_EQ(
          note.reason,
          "neither float16 nor bfloat16 holds its float32 constants exactly");
      places.insert(note.sites.begin(), note.sites.end());
    }
  }
  EXPECT_TRUE(places.contains("model.layers.1.mlp.down_proj"));
  const auto text = report.summary();
  EXPECT_NE(text.find("fold that did not fit"), std::string::npos) << text;
  EXPECT_NE(text.find("neither float16 nor bfloat16"), std::string::npos);
}

TEST(Patch, SixLaunchesALayer) {
  auto patched = patch_here(make({.layers = 4}));
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
  const auto folds = patch_here(model)->report().folds;
  for (const auto& fold : folds) {
    auto patched = patch_here(model, {.patterns = {fold}});
    auto mine = patched->new_state(16);
    EXPECT_LT(
        distance(values(patched->forward(kTokens, *mine)), expected), 2e-5)
        << fold;
    auto without = patch_here(model, {.exclude = {fold}});
    auto other = without->new_state(16);
    EXPECT_LT(
        distance(values(without->forward(kTokens, *other)), expected), 2e-5)
        << "without " << fold;
  }
}

TEST(Patch, PromptAtOnceOrTokenByTokenIsTheSame) {
  auto patched = patch_here(make({}));
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
  auto patched = patch_here(model);
  auto plain = nn::plain_decoder(model);
  auto state = patched->new_state(600); // starts with 512, grows past it
  auto other = plain->new_state(600);
  std::vector<int> text;
  for (int i = 0; i < 550; i++) {
    text.push_back((i * 37) % 1001);
  }
  auto a = values(patched->forward(text, *state));
  auto b = values(plain->forward(text, *other));
  EXPECT_LT(distance(a, b), 2e-5);
  EXPECT_EQ(state->position(), 550);
  EXPECT_THROW(patched->forward(std::vector<int>(51, 1), *state), UserError);
  EXPECT_EQ(state->position(), 550); // nothing was lost
  patched->forward(std::vector<int>(50, 1), *state);
  EXPECT_THROW(patched->forward({1}, *state), UserError);
}

TEST(Patch, TrimRewindsExactly) {
  auto patched = patch_here(make({}));
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
  auto patched = patch_here(make({}));
  auto state = patched->new_state(32);
  patched->forward(kTokens, *state);
  auto twin = state->copy();
  auto a = values(patched->forward({5}, *state));
  patched->forward({6}, *twin);
  twin->trim(1);
  EXPECT_EQ(values(patched->forward({5}, *twin)), a);
}

TEST(Patch, WrongUseIsRefusedAndLosesNothing) {
  auto patched = patch_here(make({}));
  auto stranger = patch_here(make({}));
  auto state = patched->new_state(8);
  EXPECT_THROW(patched->forward({}, *state), UserError);
  EXPECT_THROW(patched->forward({-1}, *state), UserError);
  EXPECT_THROW(patched->forward({1001}, *state), UserError);
  EXPECT_THROW(stranger->forward({1}, *state), UserError);
  EXPECT_THROW(patched->new_state(0), UserError);
  EXPECT_THROW(patch_here(make({}), {.patterns = {"nothing"}}), UserError);
  EXPECT_EQ(state->position(), 0);
  patched->forward({1}, *state);
}

TEST(Patch, UnpatchedGivesItsMemoryBack) {
  auto model = make({.layers = 4});
  patch_here(model); // what is made once per process is made
  auto before = mx::get_active_memory();
  auto patched = patch_here(model);
  auto state = patched->new_state(128);
  for (int i = 0; i < 64; i++) {
    patched->forward({i}, *state);
  }
  EXPECT_GT(mx::get_active_memory(), before);
  state.reset();
  auto plain = unpatch(std::move(patched));
  auto after = static_cast<double>(mx::get_active_memory());
  EXPECT_NEAR(after, static_cast<double>(before), 0.01 * before);
}

TEST(Patch, UnpatchedIsBitForBitWhatWasNeverPatched) {
  auto model = make({});
  auto never = nn::plain_decoder(model);
  auto state = never->new_state(32);
  auto expected = values(never->forward(kTokens, *state));
  auto patched = patch_here(model);
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
