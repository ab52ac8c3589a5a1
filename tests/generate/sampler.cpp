#include "zmlx/generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <string>

#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include "zmlx/base/errors.h"
#include "zmlx/nn/logits.h"

namespace zmlx::generate {
namespace {

namespace mx = mlx::core;

constexpr int vocab = 211;
constexpr float infinity = std::numeric_limits<float>::infinity();

std::vector<float> logits_of(int seed) {
  auto x =
      mx::random::normal({vocab}, mx::float32, 0, 3, mx::random::key(seed));
  mx::eval(x);
  return {x.data<float>(), x.data<float>() + vocab};
}

// The probabilities of all tokens by MLX operations, filter after filter over
// log-probabilities, as mlx_lm's make_sampler chains them.
std::vector<float> oracle(const std::vector<float>& logits, const Sampling& s) {
  mx::array x(logits.data(), {vocab});
  x = mx::subtract(x, mx::logsumexp(x, true));
  const mx::array none(-infinity);
  if (s.top_p > 0 && s.top_p < 1) {
    auto order = mx::argsort(x);
    auto sums = mx::cumsum(mx::exp(mx::take(x, order)));
    auto place = mx::argsort(order);
    auto keep = mx::greater(mx::take(sums, place), mx::array(1 - s.top_p));
    x = mx::where(keep, x, none);
  }
  if (s.min_p > 0) {
    auto least = mx::add(mx::max(x), mx::array(std::log(s.min_p)));
    x = mx::where(mx::less(x, mx::astype(least, mx::float32)), none, x);
  }
  if (s.top_k > 0) {
    auto rank = mx::argsort(mx::argsort(mx::negative(x)));
    x = mx::where(mx::less(rank, mx::array(s.top_k)), x, none);
  }
  auto p = mx::softmax(mx::divide(x, mx::array(float(s.temperature))));
  p = mx::astype(p, mx::float32);
  mx::eval(p);
  return {p.data<float>(), p.data<float>() + vocab};
}

void expect_oracle(const Sampling& s) {
  for (int seed = 0; seed < 20; ++seed) {
    auto logits = logits_of(seed);
    auto expected = oracle(logits, s);
    std::vector<double> got(vocab, 0);
    for (auto& c : Sampler(s).candidates(logits)) {
      EXPECT_GT(c.probability, 0);
      got[c.token] = c.probability;
    }
    for (int i = 0; i < vocab; ++i) {
      ASSERT_NEAR(got[i], expected[i], 1e-5) << "token " << i;
      ASSERT_EQ(got[i] > 0, expected[i] > 0) << "token " << i;
    }
  }
}

TEST(Sampler, FiltersAsMlxLm) {
  expect_oracle({.temperature = 1});
  expect_oracle({.temperature = 0.5});
  expect_oracle({.temperature = 1, .top_p = 0.7});
  expect_oracle({.temperature = 1, .top_p = 1});
  expect_oracle({.temperature = 2, .min_p = 0.05});
  expect_oracle({.temperature = 1, .top_k = 7});
  expect_oracle({.temperature = 1, .top_k = 100 * vocab});
  expect_oracle({.temperature = 1.3, .top_p = 0.9, .min_p = 0.02, .top_k = 5});
}

TEST(Sampler, GreedyTakesTheFirstOfTheHighest) {
  Sampler greedy({.top_p = 0.1, .top_k = 3});
  EXPECT_EQ(greedy(std::vector<float>{1, 5, 2, 5}), 1);
  EXPECT_EQ(greedy(std::vector<float>{-infinity, -3}), 1);
}

TEST(Sampler, SmallestShareStillKeepsOne) {
  Sampler s({.temperature = 1, .top_p = 1e-9});
  EXPECT_EQ(s.candidates(std::vector<float>{0, 1, 0}).size(), 1u);
}

TEST(Sampler, TiesAtTheEdgeGoToTheSmallerToken) {
  Sampler s({.temperature = 1, .top_k = 2, .seed = 1});
  std::vector<float> logits{0, 3, 3, 3};
  std::vector<int> tokens;
  for (auto& c : s.candidates(logits)) {
    tokens.push_back(c.token);
  }
  std::sort(tokens.begin(), tokens.end());
  EXPECT_EQ(tokens, (std::vector<int>{1, 2}));
}

TEST(Sampler, DrawsFollowTheProbabilities) {
  const Sampling s{.temperature = 0.8, .top_k = 6, .seed = 42};
  auto logits = logits_of(3);
  Sampler sampler(s);
  std::map<int, int> counts;
  const int draws = 20000;
  for (int i = 0; i < draws; ++i) {
    ++counts[sampler(logits)];
  }
  double chi_square = 0;
  auto all = sampler.candidates(logits);
  for (auto& c : all) {
    const double expected = c.probability * draws;
    const double gap = counts[c.token] - expected;
    chi_square += gap * gap / expected;
    counts.erase(c.token);
  }
  EXPECT_TRUE(counts.empty());
  EXPECT_LT(chi_square, 20.5); // 5 degrees of freedom, one in a thousand
}

TEST(Sampler, SeedsRepeat) {
  auto draw = [](std::optional<uint64_t> seed) {
    Sampler sampler({.temperature = 1, .seed = seed});
    std::vector<int> tokens;
    for (int i = 0; i < 50; ++i) {
      tokens.push_back(sampler(logits_of(i)));
    }
    return tokens;
  };
  EXPECT_EQ(draw(7), draw(7));
  EXPECT_NE(draw(7), draw(8));
  EXPECT_NE(draw(std::nullopt), draw(std::nullopt));
}

TEST(Sampler, RefusesBadOptions) {
  EXPECT_THROW(Sampler({.temperature = -1}), UserError);
  EXPECT_THROW(Sampler({.temperature = std::nan("")}), UserError);
  EXPECT_THROW(Sampler({.top_p = 1.5}), UserError);
  EXPECT_THROW(Sampler({.min_p = -0.1}), UserError);
  EXPECT_THROW(Sampler({.top_k = -1}), UserError);
}

std::string refusal(
    const Sampling& sampling,
    const std::vector<float>& logits,
    std::optional<int> position = std::nullopt) {
  try {
    Sampler{sampling}(logits, position);
  } catch (const nn::LogitsError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Sampler, EveryKindRefusesLogitsThatNameNoToken) {
  const float nan = std::nanf("");
  const std::string damaged = "; its weights or their format are damaged";
  for (const Sampling& s :
       {Sampling{},
        Sampling{.temperature = 1},
        Sampling{.temperature = 1, .top_k = 1},
        Sampling{.temperature = 0.7, .top_p = 0.9, .min_p = 0.1}}) {
    EXPECT_EQ(
        refusal(s, {1, nan, 2, nan}),
        "the model's logits give no next token: the largest, of token 1, is "
        "nan" +
            damaged);
    EXPECT_EQ(
        refusal(s, {nan, nan}, 12),
        "the model's logits at position 12 give no next token: the largest, of "
        "token 0, is nan" +
            damaged);
    EXPECT_EQ(
        refusal(s, {1, -infinity, infinity}),
        "the model's logits give no next token: the largest, of token 2, is "
        "inf" +
            damaged);
    EXPECT_EQ(
        refusal(s, {-infinity, -infinity}),
        "the model's logits give no next token: the largest, of token 0, is "
        "-inf" +
            damaged);
    EXPECT_EQ(refusal(s, {}), "the model gave no logits to choose a token by");
    EXPECT_EQ(refusal(s, {-infinity, 3, -infinity}), "no error");
  }
}

} // namespace
} // namespace zmlx::generate
