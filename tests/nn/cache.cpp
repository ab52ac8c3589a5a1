#include "zmlx/nn/cache.h"

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"

namespace zmlx::nn {
namespace {

constexpr int heads = 2;
constexpr int dim = 4;

mx::array tokens(int count, int seed) {
  return mx::random::normal({1, heads, count, dim}, mx::random::key(seed));
}

bool same(const mx::array& a, const mx::array& b) {
  return mx::array_equal(a, b).item<bool>();
}

int held(const GrowingKVCache& cache) {
  return cache.arrays().front().shape(2);
}

// Lengths appended, and the positions that mlx_lm 0.32's KVCache holds after
// each of them.
TEST(GrowingKVCache, KeepsWhatWasAppendedInBlocksAsMlxLm) {
  const std::vector<std::pair<int, int>> steps = {
      {1, 256},
      {3, 256},
      {252, 256},
      {1, 512},
      {1, 512},
      {300, 770},
      {212, 770},
      {1, 1026},
      {2048, 2819},
      {1, 3075}};
  GrowingKVCache cache;
  EXPECT_TRUE(cache.arrays().empty());
  auto keys = mx::zeros({1, heads, 0, dim});
  auto values = keys;
  int seed = 0;
  for (auto [count, expected_held] : steps) {
    EXPECT_EQ(std::get<int>(cache.offset()), keys.shape(2));
    auto k = tokens(count, seed++);
    auto v = tokens(count, seed++);
    keys = mx::concatenate({keys, k}, 2);
    values = mx::concatenate({values, v}, 2);
    auto [all_keys, all_values] = cache.update_and_fetch(k, v);
    EXPECT_TRUE(same(all_keys, keys));
    EXPECT_TRUE(same(all_values, values));
    EXPECT_EQ(held(cache), expected_held);
  }
}

TEST(GrowingKVCache, TrimForgetsTheLast) {
  GrowingKVCache cache;
  auto first = tokens(5, 1);
  auto second = tokens(2, 2);
  cache.update_and_fetch(first, first);
  cache.trim(3);
  EXPECT_EQ(cache.length(), 2);
  auto [keys, values] = cache.update_and_fetch(second, second);
  auto expected = mx::concatenate(
      {mx::slice(first, {0, 0, 0, 0}, {1, heads, 2, dim}), second}, 2);
  EXPECT_TRUE(same(keys, expected));
  EXPECT_TRUE(same(values, expected));
}

TEST(GrowingKVCache, TrimRefusesMoreThanItHolds) {
  GrowingKVCache cache;
  cache.update_and_fetch(tokens(5, 1), tokens(5, 2));
  EXPECT_THROW(cache.trim(6), UserError);
  EXPECT_THROW(cache.trim(-1), UserError);
  EXPECT_EQ(cache.length(), 5);
}

TEST(GrowingKVCache, CopiesAreIndependent) {
  GrowingKVCache cache;
  auto first = tokens(5, 1);
  cache.update_and_fetch(first, first);
  GrowingKVCache twin = cache;
  auto [ours, our_values] = cache.update_and_fetch(tokens(1, 2), tokens(1, 2));
  auto [theirs, their_values] =
      twin.update_and_fetch(tokens(1, 3), tokens(1, 3));
  mx::eval({ours, theirs, our_values, their_values});
  EXPECT_TRUE(same(ours, mx::concatenate({first, tokens(1, 2)}, 2)));
  EXPECT_TRUE(same(theirs, mx::concatenate({first, tokens(1, 3)}, 2)));
}

} // namespace
} // namespace zmlx::nn
