#include <gtest/gtest.h>

#include <cmath>

#include "tests/peer/chosen.h"
#include "zmlx/base/errors.h"
#include "zmlx/graph/fold.h"
#include "zmlx/graph/lift.h"
#include "zmlx/graph/presets.h"
#include "zmlx/op/elementwise.h"
#include "zmlx/plan/plan.h"

namespace zmlx::plan {
namespace {

using graph::Slot;
using nn::Keeps;

/// What this little model keeps: all sums so far, the last three of them, and a
/// recurrent state.
const std::vector<nn::StateSlot> kSlots{
    {"sums", {4}},
    {"recent", {4}, mx::float32, Keeps::Window, 3},
    {"recurrent", {4}, mx::float32, Keeps::Latest}};

mx::array table() {
  return mx::reshape(mx::arange(0.f, 40.f, 1.f), {10, 4});
}

/// One step: h' = h / 2 + table[token], written where each slot wants it.
/// Outputs as plan::capture_step has them: scores, the likeliest and its score,
/// the state.
graph::Graph step_graph(int capacity) {
  const Cells cells(kSlots);
  const auto cell = [](int number, mx::Shape shape) {
    return graph::Named{
        "cell",
        graph::placeholder(std::move(shape), mx::int32),
        Slot{Slot::Kind::Cell, number}};
  };
  const auto state = [](int number, int places) {
    return graph::Named{
        kSlots[number].name,
        graph::placeholder({places, 4}, mx::float32),
        Slot{Slot::Kind::State, number, number == 0}};
  };
  const std::vector<graph::Named> given{
      cell(Cells::Token, {1}),
      cell(Cells::Position, {1}),
      cell(Cells::Latest, {1}),
      cell(Cells::Next, {1}),
      cell(cells.place(3), {1}),
      state(0, capacity),
      state(1, 3),
      state(2, 2)};
  const auto array = [&](int i) { return given[i].array; };
  auto h =
      mx::take(array(7), array(2), 0) * 0.5f + mx::take(table(), array(0), 0);
  auto scores = mx::sin(h);
  return graph::lift(
      given,
      {{"scores", scores},
       {"likeliest", mx::argmax(scores, -1)},
       {"largest", mx::max(scores, -1)},
       {"sums", mx::slice_update(array(5), h, array(1), {0})},
       {"recent", mx::slice_update(array(6), h, array(4), {0})},
       {"recurrent", mx::slice_update(array(7), h, array(3), {0})}},
      [](const mx::array&) { return ""; },
      test_peer::chosen_device());
}

std::shared_ptr<const Plan> make_plan(int capacity) {
  auto folded =
      graph::apply_folds(step_graph(capacity), graph::folds_of({}, {}));
  std::string why;
  auto plan =
      Plan::make(std::make_shared<const graph::Graph>(std::move(folded)), &why);
  EXPECT_NE(plan, nullptr) << why;
  return plan;
}

/// The same model in plain C++.
struct Oracle {
  std::vector<std::array<float, 4>> sums;
  std::array<float, 4> h{};

  void step(int token) {
    for (int i = 0; i < 4; i++) {
      h[i] = h[i] * 0.5f + static_cast<float>(4 * token + i);
    }
    sums.push_back(h);
  }
  int likeliest() const {
    int best = 0;
    for (int i = 1; i < 4; i++) {
      best = std::sin(h[i]) > std::sin(h[best]) ? i : best;
    }
    return best;
  }
};

std::vector<float> floats(const mx::array& a) {
  return {a.data<float>(), a.data<float>() + a.size()};
}

std::vector<float> flat(const std::vector<std::array<float, 4>>& rows) {
  std::vector<float> all;
  for (const auto& row : rows) {
    all.insert(all.end(), row.begin(), row.end());
  }
  return all;
}

void expect_same(Replay& replay, State& state, const Oracle& oracle) {
  EXPECT_EQ(floats(state.read(0)), flat(oracle.sums));
  EXPECT_EQ(floats(state.read(2)), flat({oracle.h}));
  std::vector<std::array<float, 4>> recent(
      std::min<size_t>(oracle.sums.size(), 3));
  for (size_t p = 0; p < oracle.sums.size(); p++) {
    recent[p % 3] = oracle.sums[p];
  }
  EXPECT_EQ(floats(state.read(1)), flat(recent));
  std::vector<float> scores(4);
  replay.read(0, scores.data(), 16);
  for (int i = 0; i < 4; i++) {
    EXPECT_NEAR(scores[i], std::sin(oracle.h[i]), 1e-6);
  }
  const auto choice = replay.read_choice();
  EXPECT_EQ(static_cast<int>(choice.token), oracle.likeliest());
  EXPECT_EQ(choice.logit, scores[choice.token]);
}

TEST(Replay, StepsChangeEverySlotInPlace) {
  const auto plan = make_plan(16);
  State state(plan->peer(), kSlots, 16);
  Replay replay(plan, state);
  Oracle oracle;
  for (int token : {3, 9, 0, 7, 7, 1}) {
    replay.step(state.ticket(), token);
    oracle.step(token);
    expect_same(replay, state, oracle);
  }
}

TEST(Replay, OneStepBackAndOnIsExact) {
  const auto plan = make_plan(16);
  State state(plan->peer(), {kSlots[0], kSlots[1], kSlots[2]}, 16);
  Replay replay(plan, state);
  Oracle oracle;
  replay.step(state.ticket(), 5);
  oracle.step(5);
  replay.step(state.ticket(), 8);
  state.trim(1);
  replay.step(state.ticket(), 2);
  oracle.step(2);
  expect_same(replay, state, oracle);
}

TEST(Replay, OnePlanServesEveryCapacity) {
  const auto plan = make_plan(16);
  for (int capacity : {2, 16, 300}) {
    State state(plan->peer(), kSlots, capacity);
    Replay replay(plan, state);
    Oracle oracle;
    for (int i = 0; i < std::min(capacity, 20); i++) {
      replay.step(state.ticket(), i % 10);
      oracle.step(i % 10);
    }
    expect_same(replay, state, oracle);
    if (capacity == 2) {
      EXPECT_THROW(replay.step(state.ticket(), 1), UserError);
    }
  }
}

TEST(Replay, WithoutAHostTokenTheLikeliestFollows) {
  const auto plan = make_plan(16);
  State state(plan->peer(), kSlots, 16);
  Replay replay(plan, state);
  Oracle oracle;
  replay.step(state.ticket(), 6);
  oracle.step(6);
  std::vector<Replay::Choice> told(4);
  uint64_t mark = 0;
  for (auto& choice : told) {
    replay.step(state.ticket(), std::nullopt);
    mark = replay.begin_read_choice(&choice);
  }
  state.queue().wait_for(mark);
  for (const auto& choice : told) {
    oracle.step(oracle.likeliest());
    EXPECT_EQ(static_cast<int>(choice.token), oracle.likeliest());
    EXPECT_NEAR(choice.logit, std::sin(oracle.h[choice.token]), 1e-6);
  }
  expect_same(replay, state, oracle);
}

TEST(Replay, StepsWithoutOutputsChangeTheStateAlike) {
  const auto plan = make_plan(16);
  State state(plan->peer(), kSlots, 16);
  Replay replay(plan, state);
  Oracle oracle;
  for (int token : {4, 4, 1}) {
    replay.step(state.ticket(), token, token == 1);
    oracle.step(token);
  }
  expect_same(replay, state, oracle);
}

TEST(Replay, GoesAfterTheStepsThatAreInFlight) {
  const auto plan = make_plan(16);
  State state(plan->peer(), kSlots, 16);
  Oracle oracle;
  for (int token : {3, 7, 2, 9, 5, 1}) {
    Replay replay(plan, state);
    replay.step(state.ticket(), token, token % 2 == 0); // not waited for
    oracle.step(token);
  }
  Replay replay(plan, state);
  replay.step(state.ticket(), 4);
  oracle.step(4);
  expect_same(replay, state, oracle);
}

TEST(Replay, AnIndexOutsideItsArrayIsToldByItsKernel) {
  auto x = graph::placeholder({1, 4}, mx::float32);
  auto at = mx::astype(x, mx::int32);
  const auto pick = elementwise("pick(table, i)", {.inputs = {"table", "i"}});
  auto y = pick(mx::array({1.f, 2.f, 3.f, 4.f}, {1, 4}), at);
  const std::vector<nn::StateSlot> slots{{"x", {4}, mx::float32, Keeps::All}};
  const auto plan = Plan::make(
      std::make_shared<const graph::Graph>(graph::lift(
          {{"x", x, Slot{Slot::Kind::State, 0}}},
          {{"y", y}, {"chosen", mx::argmax(y, -1)}},
          [](const mx::array&) { return ""; },
          test_peer::chosen_device())),
      nullptr);
  ASSERT_TRUE(plan);
  State state(plan->peer(), slots, 2);
  const std::vector<float> good{0, 2, 1, 1}, bad{0, 7, 1, 1};
  Replay replay(plan, state);
  std::vector<float> out(4);
  state.queue().copy_in(state.slot(0), good.data(), 16);
  replay.step(state.ticket(), 0);
  replay.read(0, out.data(), 16);
  EXPECT_EQ(out, (std::vector<float>{1, 3, 2, 2}));
  state.queue().copy_in(state.slot(0), bad.data(), 16);
  replay.step(state.ticket(), 0);
  try {
    replay.read(0, out.data(), 16);
    FAIL();
  } catch (const UserError& e) {
    EXPECT_NE(
        std::string(e.what()).find("index 7 is outside the 4 places of a row"),
        std::string::npos)
        << e.what();
  }
}

TEST(Replay, TwoConversationsShareAPlan) {
  const auto plan = make_plan(16);
  State a(plan->peer(), kSlots, 16), b(plan->peer(), kSlots, 8);
  Replay replay_a(plan, a), replay_b(plan, b);
  Oracle oracle_a, oracle_b;
  for (int i = 0; i < 5; i++) {
    replay_a.step(a.ticket(), i);
    replay_b.step(b.ticket(), 9 - i);
    oracle_a.step(i);
    oracle_b.step(9 - i);
  }
  expect_same(replay_a, a, oracle_a);
  expect_same(replay_b, b, oracle_b);
}

TEST(Plan, ReadingAStateAsItWasBeforeAWriteIsRefused) {
  auto state = graph::placeholder({4, 4}, mx::float32);
  auto position = graph::placeholder({1}, mx::int32);
  auto before = mx::take(state, position, 0);
  auto graph = graph::lift(
      {{"position", position, Slot{Slot::Kind::Cell, Cells::Position}},
       {"sums", state, Slot{Slot::Kind::State, 0, true}}},
      {{"y", mx::exp(before)},
       {"sums", mx::slice_update(state, before + 1.f, position, {0})}},
      [](const mx::array&) { return ""; },
      test_peer::chosen_device());
  std::string why;
  EXPECT_EQ(
      Plan::make(std::make_shared<const graph::Graph>(graph), &why), nullptr);
  EXPECT_NE(why.find("reads sums as it was before the step"), why.npos) << why;
}

} // namespace
} // namespace zmlx::plan
