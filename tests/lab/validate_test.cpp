#include "zmlx/lab/validate.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"
#include "zmlx/lab/doctor.h"
#include "zmlx/models/random.h"
#include "zmlx/models/registry.h"

namespace zmlx::lab {
namespace {

namespace mx = mlx::core;

using models::RandomLlama;

std::vector<std::vector<int>> prompts() {
  return {{1, 2, 3, 4, 5}, {900, 1, 77}, {42}};
}

ValidateResult run(const RandomLlama& options, int max_tokens = 48) {
  std::shared_ptr<const nn::Model> model =
      models::make_model(models::random_llama(options));
  return validate(model, prompts(), {.max_tokens = max_tokens, .runs = 2});
}

void expect_kept(const RandomLlama& options) {
  auto result = run(options);
  EXPECT_NE(result.judgement.verdict, measure::Verdict::failed)
      << result.judgement.reason;
  EXPECT_TRUE(result.report.plan_reason.empty()) << result.report.plan_reason;
  EXPECT_EQ(result.tokens_total, 48);
  EXPECT_LT(result.judgement.distance->kl_patched, 1e-9);
}

TEST(Validate, RandomLlamasOfOddSizes) {
  for (int group_size : {32, 64}) {
    for (int bits : {4, 8}) {
      for (bool tied : {true, false}) {
        SCOPED_TRACE(fmt::format("{} bits, {} a group", bits, group_size));
        expect_kept({.bits = bits, .group_size = group_size, .tied = tied});
      }
    }
  }
  expect_kept({.bits = 0});
  expect_kept({.kv_heads = 3, .bits = 0, .tied = false});
  for (int bits : {4, 8}) {
    expect_kept(
        {.hidden = 384,
         .ffn = 640,
         .bits = bits,
         .group_size = 128,
         .tied = false});
  }
}

TEST(Validate, LayersThatNoGroupFitsStayDense) {
  expect_kept({.group_size = 128}); // 192 and 544 are no multiples of 128
}

TEST(Validate, SharesTokensOutOverThePrompts) {
  auto result = run({.layers = 1}, 7);
  EXPECT_EQ(result.prompts, 3);
  EXPECT_EQ(result.prompt_tokens, 9);
  EXPECT_EQ(result.tokens_total, 7);
  EXPECT_EQ(result.unpatched_tokens.size(), 3u);
  EXPECT_EQ(result.patched_tokens, result.unpatched_tokens);
  EXPECT_EQ(result.unpatched.runs.size(), 2u);
  ASSERT_TRUE(result.speedup);
  EXPECT_GT(result.speedup->ratio, 0);
}

TEST(Validate, PeakMemoryIsThatOfTheProcessWhileOneSideRuns) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer keeps memory that was given back";
#endif
  const size_t before = 700 << 20;
  std::vector<char>(before, 1); // given back at once
  const auto result = run({.layers = 1}, 7);
  ASSERT_TRUE(result.unpatched.peak_memory_bytes);
  ASSERT_TRUE(result.patched.peak_memory_bytes);
  for (const auto* side : {&result.unpatched, &result.patched}) {
    EXPECT_GT(*side->peak_memory_bytes, 10'000'000u);
    EXPECT_LT(*side->peak_memory_bytes, before);
  }
}

TEST(Validate, WhatWasNotMeasuredIsNoNumber) {
  std::shared_ptr<const nn::Model> model =
      models::make_model(models::random_llama({.layers = 1}));
  // One token a prompt: there is no step to time.
  const auto result = validate(
      model, {{1, 2}}, {.max_tokens = 1, .runs = 1, .with_reference = false});
  EXPECT_EQ(result.judgement.verdict, measure::Verdict::identical);
  EXPECT_EQ(
      result.judgement.basis,
      "greedy tokens alone (1); distributions were not compared");
  EXPECT_FALSE(result.judgement.distance);
  EXPECT_FALSE(result.speedup);
  EXPECT_FALSE(result.unpatched.tok_s);
  EXPECT_FALSE(result.patched.tok_s);
}

TEST(Validate, DamagedWeightsFailTheVerdict) {
  for (bool with_reference : {true, false}) {
    for (const char* name :
         {"model.layers.0.mlp.up_proj.weight", "model.embed_tokens.weight"}) {
      auto files = models::random_llama({.layers = 1, .bits = 0});
      auto& weight = files.weights.at(name);
      weight = mx::slice_update(
          weight,
          mx::full({1, weight.shape(1)}, std::nanf(""), weight.dtype()),
          mx::Shape{42, 0},
          mx::Shape{43, weight.shape(1)});
      mx::eval(weight);
      std::shared_ptr<const nn::Model> model =
          models::make_model(std::move(files));
      const auto result = validate(
          model,
          {{5, 1}},
          {.max_tokens = 4, .runs = 1, .with_reference = with_reference});
      EXPECT_EQ(result.judgement.verdict, measure::Verdict::failed);
      EXPECT_TRUE(result.judgement.reason.starts_with(
          "prompt 1, unpatched: the model's logits at position 2 give no next "
          "token: the largest, of token "))
          << result.judgement.reason;
      EXPECT_FALSE(result.judgement.distance);
      EXPECT_FALSE(result.report.launches.empty());
    }
  }
}

TEST(Validate, StopsWhereItIsTold) {
  std::shared_ptr<const nn::Model> model =
      models::make_model(models::random_llama({.layers = 1}));
  int calls = 0;
  ValidateOptions options{.max_tokens = 30};
  options.cancelled = [&] { return ++calls > 3; };
  EXPECT_THROW(validate(model, prompts(), options), Cancelled);
}

TEST(Validate, RefusesNothingToDo) {
  std::shared_ptr<const nn::Model> model =
      models::make_model(models::random_llama({.layers = 1}));
  EXPECT_THROW(validate(model, {}, {}), UserError);
  EXPECT_THROW(validate(model, {{1}, {}}, {}), UserError);
  EXPECT_THROW(validate(model, {{1}}, {.max_tokens = 0}), UserError);
  EXPECT_THROW(validate(model, {{1}}, {.runs = 0}), UserError);
}

TEST(Validate, KlDivergenceIsThatOfTheSoftmax) {
  std::vector<float> p{std::log(0.5f), std::log(0.25f), std::log(0.25f)};
  std::vector<float> q{std::log(0.25f), std::log(0.5f), std::log(0.25f)};
  EXPECT_NEAR(kl_divergence(p, p), 0, 1e-12);
  EXPECT_NEAR(kl_divergence(p, q), 0.25 * std::log(2.0), 1e-7);
  // Equal up to a constant is the same distribution.
  for (auto& v : q) {
    v += 100;
  }
  EXPECT_NEAR(kl_divergence(p, q), 0.25 * std::log(2.0), 1e-5);
  // What is no number gives no number.
  q[1] = std::nanf("");
  EXPECT_TRUE(std::isnan(kl_divergence(p, q)));
  EXPECT_TRUE(std::isnan(kl_divergence(q, p)));
  // A token that cannot come adds nothing.
  const float never = -std::numeric_limits<float>::infinity();
  EXPECT_NEAR(kl_divergence({0, never}, {0, 0}), std::log(2.0), 1e-12);
}

TEST(Doctor, MeasuresTheMemoryAndFindsTheKernelsWell) {
  auto result = doctor();
  EXPECT_GT(result.read_bytes_s, 1e8);
  EXPECT_GT(result.triad_bytes_s, 1e8);
  EXPECT_GE(result.threads, 1);
  for (const auto& finding : result.findings) {
    if (finding.item != "cache folder") { // the machine's, not ours
      EXPECT_NE(finding.level, Finding::Level::bad) << finding.value;
    }
  }
}

} // namespace
} // namespace zmlx::lab
