// A real model through the plan: the test set-up fetches it.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "zmlx/io/tokenizer.h"
#include "zmlx/lab/validate.h"
#include "zmlx/models/load.h"

namespace zmlx::lab {
namespace {

const std::filesystem::path kRoot = ZMLX_SOURCE_DIR;
const auto kModel = kRoot / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf";

class SmolLM2 : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kModel)) {
      GTEST_SKIP() << kModel << " is not there; ./demo.sh fetches it";
    }
    model_ = models::load(kModel);
  }

  std::vector<int> english(size_t count) const {
    std::ifstream file(kRoot / "tests" / "data" / "english_500.txt");
    std::stringstream text;
    text << file.rdbuf();
    auto tokens = io::Tokenizer::load(kModel).encode(text.str(), false);
    tokens.resize(count);
    return tokens;
  }

  std::shared_ptr<const nn::Model> model_;
};

TEST_F(SmolLM2, EveryOperationHasAKernelInFewLaunches) {
  auto patched = patch(model_);
  const auto& report = patched->report();
  EXPECT_TRUE(report.plan_reason.empty()) << report.plan_reason;
  EXPECT_LE(report.rounds_per_layer(), 7);
  EXPECT_EQ(report.pattern_counts.at("swiglu_mlp"), 30);
  EXPECT_EQ(report.pattern_counts.at("attention"), 30);
  for (const auto& launch : report.launches) {
    EXPECT_TRUE(launch.reason.empty()) << launch.label << launch.reason;
    EXPECT_FALSE(launch.sites.empty()) << launch.label;
  }
}

double loss_of(const std::vector<float>& logits, int next) {
  double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float v : logits) {
    sum += std::exp(v - top);
  }
  return top + std::log(sum) - logits[next];
}

// The value that stock MLX gives for the same text (tests/models).
TEST_F(SmolLM2, PatchedNllIsTheCommittedOne) {
  constexpr double committed = 3.0443;
  auto patched = patch(model_);
  const auto tokens = english(500);
  auto state = patched->new_state(500);
  double sum = 0;
  for (size_t i = 0; i + 1 < tokens.size(); i++) {
    auto logits = patched->forward({tokens[i]}, *state);
    sum += loss_of(
        {logits.data<float>(), logits.data<float>() + logits.size()},
        tokens[i + 1]);
  }
  EXPECT_NEAR(sum / 499, committed, 0.01 * committed);
}

TEST_F(SmolLM2, AnswersAreKept) {
  const auto tokens = english(24);
  auto result = validate(model_, {tokens}, {.max_tokens = 12, .runs = 1});
  EXPECT_NE(result.judgement.verdict, measure::Verdict::failed)
      << result.judgement.reason;
  EXPECT_LT(result.judgement.distance->kl_patched, 1e-6);
}

} // namespace
} // namespace zmlx::lab
