#include "zmlx/plan/state.h"

#include <cstring>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"
#include "zmlx/plan/step.h"

namespace zmlx::plan {
namespace {

const std::vector<nn::KVCacheShape> kShapes{
    {.kv_heads = 3, .head_dim = 4},
    {.kv_heads = 1, .head_dim = 8}};

TEST(State, StepsMoveThePositionAndItsCells) {
  State state(kShapes, 2);
  auto first = state.ticket();
  state.begin_step(first, 42);
  EXPECT_EQ(*state.token_cell(), 42);
  EXPECT_EQ(*state.position_cell(), 0);
  EXPECT_EQ(*state.length_cell(), 1);
  auto second = state.end_step();
  EXPECT_NE(first, second);
  EXPECT_EQ(state.position(), 1);
}

TEST(State, AStaleTicketIsRefused) {
  State state(kShapes, 4);
  auto first = state.ticket();
  state.begin_step(first, 1);
  state.end_step();
  EXPECT_THROW(state.begin_step(first, 1), UserError);
  auto before_trim = state.ticket();
  state.trim(1);
  EXPECT_THROW(state.begin_step(before_trim, 1), UserError);
  State other(kShapes, 4);
  EXPECT_THROW(other.begin_step(state.ticket(), 1), UserError);
  state.begin_step(state.ticket(), 1);
}

TEST(State, AFullContextIsRefused) {
  State state(kShapes, 1);
  state.begin_step(state.ticket(), 1);
  auto ticket = state.end_step();
  EXPECT_THROW(state.begin_step(ticket, 1), UserError);
  EXPECT_THROW(State(kShapes, 0), UserError);
}

void fill(State& state, int positions) {
  for (int t = 0; t < positions; t++) {
    state.begin_step(state.ticket(), t);
    for (int layer = 0; layer < 2; layer++) {
      const auto& shape = state.shapes()[layer];
      for (int head = 0; head < shape.kv_heads; head++) {
        for (int d = 0; d < shape.head_dim; d++) {
          auto at = (head * state.capacity() + t) * shape.head_dim + d;
          float value = static_cast<float>(1000 * layer + 100 * head + 10 * t) +
              static_cast<float>(d);
          static_cast<float*>(state.keys(layer))[at] = value;
          static_cast<float*>(state.values(layer))[at] = -value;
        }
      }
    }
    state.end_step();
  }
}

void expect_same_views(const State& a, const State& b) {
  for (int layer = 0; layer < 2; layer++) {
    auto [ka, va] = a.view(layer);
    auto [kb, vb] = b.view(layer);
    EXPECT_TRUE(mx::array_equal(ka, kb).item<bool>());
    EXPECT_TRUE(mx::array_equal(va, vb).item<bool>());
  }
}

TEST(State, CopyAndGrowthKeepWhatWasSeen) {
  State state(kShapes, 5);
  fill(state, 3);
  auto twin = state.copy();
  expect_same_views(state, *twin);
  twin->grow(9);
  EXPECT_EQ(twin->capacity(), 9);
  expect_same_views(state, *twin);
  EXPECT_EQ(state.memory_bytes(), twin->memory_bytes());
  EXPECT_EQ(state.memory_bytes(), 2 * (3 * 4 + 8) * 3 * sizeof(float));
}

TEST(State, BuffersStartZeroed) {
  State state(kShapes, 7);
  const auto* keys = static_cast<const float*>(state.keys(0));
  for (int i = 0; i < 7 * 3 * 4; i++) {
    EXPECT_EQ(keys[i], 0);
  }
}

TEST(StepNames, CachesAreTold) {
  auto cache = step_names::parse_cache(step_names::values(12));
  ASSERT_TRUE(cache.has_value());
  EXPECT_EQ(cache->layer, 12);
  EXPECT_FALSE(cache->is_keys);
  EXPECT_FALSE(step_names::parse_cache("token").has_value());
  EXPECT_FALSE(step_names::parse_cache("keys.x").has_value());
}

} // namespace
} // namespace zmlx::plan
