#include <fstream>
#include <numeric>
#include <sstream>

#include <gtest/gtest.h>

#include "zmlx/io/tokenizer.h"
#include "zmlx/models/registry.h"

namespace zmlx::models {
namespace {

namespace mx = mlx::core;

const std::filesystem::path root = ZMLX_SOURCE_DIR;
const auto smollm2 = root / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf";

// Mean over the 499 tokens that follow another one.
constexpr double committed_nll = 3.0443;

std::vector<int> english_tokens() {
  std::ifstream file(root / "tests" / "data" / "english_500.txt");
  std::stringstream text;
  text << file.rdbuf();
  auto tokens = io::Tokenizer::load(smollm2).encode(text.str(), false);
  EXPECT_GE(tokens.size(), 500u);
  tokens.resize(500);
  return tokens;
}

// Negative logarithm of the probability of each token after the first.
std::vector<float> losses(
    io::ModelFiles files,
    const std::vector<int>& tokens) {
  auto model = make_model(std::move(files));
  nn::Caches caches;
  for (size_t i = 0; i < model->shape().caches.size(); ++i) {
    caches.push_back(std::make_unique<nn::GrowingKVCache>());
  }
  const int n = static_cast<int>(tokens.size()) - 1;
  auto logits =
      mx::squeeze(model->forward(mx::array(tokens.data(), {1, n}), caches), 0);
  mx::array next(tokens.data() + 1, {n, 1});
  auto chosen = mx::squeeze(mx::take_along_axis(logits, next, 1), 1);
  auto loss = mx::contiguous(mx::subtract(mx::logsumexp(logits, 1), chosen));
  mx::eval(loss);
  return {loss.data<float>(), loss.data<float>() + n};
}

double mean(const float* first, size_t count) {
  return std::accumulate(first, first + count, 0.0) / count;
}

// Takes most of a minute, so once for all tests.
const std::vector<float>& losses_as_loaded() {
  static const auto all =
      losses(io::load_model_files(smollm2), english_tokens());
  return all;
}

class SlowEnglish : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(smollm2)) {
      GTEST_SKIP() << smollm2 << " is not there; ./demo.sh fetches it";
    }
  }
};

TEST_F(SlowEnglish, NllIsTheCommittedOne) {
  auto& all = losses_as_loaded();
  EXPECT_NEAR(
      mean(all.data(), all.size()), committed_nll, 0.01 * committed_nll);
}

// The rows of q and k in GGUF want the traditional rope. With the other one the
// text is still fluent, so what the test above allows must be less than what
// that costs.
TEST_F(SlowEnglish, NllSeesTheWrongRope) {
  auto files = io::load_model_files(smollm2);
  auto config = files.config.json();
  ASSERT_TRUE(config.at("rope_traditional").get<bool>());
  config["rope_traditional"] = false;
  files.config = io::Config(config, files.config.source());
  auto tokens = english_tokens();
  tokens.resize(97);
  const auto wrong = losses(std::move(files), tokens);
  EXPECT_GT(
      mean(wrong.data(), wrong.size()),
      1.05 * mean(losses_as_loaded().data(), wrong.size()));
}

} // namespace
} // namespace zmlx::models
