#include "zmlx/plan/state.h"

#include <cstring>
#include <numeric>

#include <gtest/gtest.h>

#include "tests/peer/chosen.h"
#include "zmlx/base/errors.h"

namespace zmlx::plan {
namespace {

using nn::Keeps;

const backend::Peer& peer() {
  return *backend::find_peer(test_peer::chosen_device());
}

const std::vector<nn::StateSlot> kCaches =
    nn::state_slots({{.kv_heads = 3, .head_dim = 4}, {1, 8, mx::float16, 2}});

const nn::StateSlot kWindow{"recent", {2}, mx::float32, Keeps::Window, 3};
const nn::StateSlot kLatest{"recurrent", {2}, mx::float32, Keeps::Latest};

std::vector<int32_t> cells_of(const State& state) {
  std::vector<int32_t> cells(state.cells().count());
  state.queue().copy_out(cells.data(), state.cell(0), cells.size() * 4);
  return cells;
}

/// The entry that a step at `position` writes is `position` in every byte.
void write_entry(State& state, int number, int64_t place, int position) {
  const auto bytes = state.slots()[number].entry_bytes();
  const std::vector<char> entry(bytes, static_cast<char>(position + 1));
  state.queue().copy_in(
      state.slot(number) + place * static_cast<int64_t>(bytes),
      entry.data(),
      bytes);
}

void step(State& state) {
  const int position = state.position();
  state.begin_step(state.ticket(), 40 + position);
  for (int i = 0; i < static_cast<int>(state.slots().size()); i++) {
    const auto& slot = state.slots()[i];
    const int place = slot.keeps == Keeps::All ? position
        : slot.keeps == Keeps::Window          ? position % slot.window
                                               : (position + 1) % 2;
    write_entry(state, i, place, position);
  }
  state.end_step();
}

/// The first byte of each entry of a slot.
std::vector<int> entries(const State& state, int number) {
  const auto array = state.read(number);
  const auto bytes = state.slots()[number].entry_bytes();
  std::vector<int> first;
  for (size_t at = 0; at < array.nbytes(); at += bytes) {
    first.push_back(array.data<char>()[at]);
  }
  return first;
}

TEST(State, AStepIsGivenItsCells) {
  State state(peer(), {kWindow, kLatest}, 9);
  for (int position = 0; position < 5; position++) {
    state.begin_step(state.ticket(), 42);
    EXPECT_EQ(
        cells_of(state),
        (std::vector<int32_t>{
            42,
            position,
            position + 1,
            position % 2,
            (position + 1) % 2,
            position % 3,
            std::min(position + 1, 3)}));
    state.end_step();
  }
  EXPECT_EQ(state.cells().place(3), Cells::FixedCount);
  EXPECT_THROW(state.cells().place(4), InternalError);
}

TEST(State, ATokenMayComeFromThePeersMemory) {
  State state(peer(), kCaches, 4);
  const auto made = peer().allocate(4);
  const uint32_t token = 77;
  state.queue().copy_in(made.address, &token, sizeof(token));
  state.begin_step(state.ticket(), std::nullopt, made.address);
  EXPECT_EQ(cells_of(state)[Cells::Token], 77);
}

TEST(State, AStaleTicketIsRefused) {
  State state(peer(), kCaches, 4);
  auto first = state.ticket();
  step(state);
  EXPECT_THROW(state.begin_step(first, 1), UserError);
  auto before_trim = state.ticket();
  state.trim(1);
  EXPECT_THROW(state.begin_step(before_trim, 1), UserError);
  State other(peer(), kCaches, 4);
  EXPECT_THROW(other.begin_step(state.ticket(), 1), UserError);
  state.begin_step(state.ticket(), 1);
}

TEST(State, AFullContextIsRefused) {
  State state(peer(), kCaches, 1);
  step(state);
  EXPECT_THROW(state.begin_step(state.ticket(), 1), UserError);
  EXPECT_THROW(State(peer(), kCaches, 0), UserError);
}

TEST(State, SlotsBeginZeroedAndKeepOneEntryAToken) {
  State state(peer(), kCaches, 5);
  std::vector<float> all(5 * 3 * 4, 1.f);
  state.queue().copy_out(all.data(), state.slot(0), all.size() * 4);
  EXPECT_EQ(all, std::vector<float>(all.size(), 0.f));
  for (int i = 0; i < 3; i++) {
    step(state);
  }
  EXPECT_EQ(state.read(0).shape(), (mx::Shape{3, 3, 4}));
  EXPECT_EQ(state.read(3).shape(), (mx::Shape{3, 1, 2}));
  EXPECT_EQ(entries(state, 3), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(
      state.memory_bytes(), 3 * (2 * 3 * 4 * sizeof(float) + (8 + 2) * 2));
}

TEST(State, ACopyGoesItsOwnWay) {
  State state(peer(), {kCaches[0], kWindow, kLatest}, 8);
  for (int i = 0; i < 5; i++) {
    step(state);
  }
  const auto twin = state.copy();
  for (int slot = 0; slot < 3; slot++) {
    EXPECT_EQ(entries(state, slot), entries(*twin, slot));
  }
  step(state);
  EXPECT_EQ(twin->position(), 5);
  EXPECT_EQ(entries(*twin, 0), (std::vector<int>{1, 2, 3, 4, 5}));
  EXPECT_EQ(entries(*twin, 1), (std::vector<int>{4, 5, 3}));
  EXPECT_EQ(entries(*twin, 2), (std::vector<int>{5}));
}

TEST(State, ACopyGoesBackAsItsOriginalDoes) {
  State state(peer(), {kLatest}, 8);
  step(state);
  step(state);
  const auto twin = state.copy();
  step(state);
  twin->trim(1);
  EXPECT_EQ(entries(*twin, 0), (std::vector<int>{1}));
  EXPECT_EQ(entries(state, 0), (std::vector<int>{3}));
}

TEST(State, OneStepBackIsExactForARecurrentState) {
  State state(peer(), {kLatest}, 8);
  step(state);
  step(state);
  step(state);
  state.trim(1);
  EXPECT_EQ(entries(state, 0), (std::vector<int>{2}));
  try {
    state.trim(1);
    FAIL();
  } catch (const UserError& e) {
    EXPECT_STREQ(
        e.what(),
        "cannot forget 1 of 2 tokens: recurrent goes back one step only");
  }
  step(state);
  state.trim(1);
  EXPECT_EQ(entries(state, 0), (std::vector<int>{2}));
  state.trim(2); // to the beginning
  EXPECT_EQ(entries(state, 0), (std::vector<int>{0}));
}

TEST(State, AWindowGoesBackUntilItIsWrittenOver) {
  State state(peer(), {kWindow}, 8);
  step(state);
  step(state);
  state.trim(1);
  EXPECT_EQ(entries(state, 0), (std::vector<int>{1}));
  step(state);
  step(state);
  step(state);
  EXPECT_EQ(entries(state, 0), (std::vector<int>{4, 2, 3}));
  try {
    state.trim(1);
    FAIL();
  } catch (const UserError& e) {
    EXPECT_STREQ(
        e.what(),
        "cannot forget 1 of 4 tokens: recent keeps the last 3, which were "
        "written over those before");
  }
  EXPECT_EQ(state.position(), 4);
  state.trim(4);
  EXPECT_EQ(entries(state, 0), std::vector<int>{});
  EXPECT_THROW(state.trim(1), UserError);
}

} // namespace
} // namespace zmlx::plan
