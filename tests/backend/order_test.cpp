#include "zmlx/backend/order.h"

#include <gtest/gtest.h>

namespace zmlx::backend {
namespace {

/// Touches memory as its effects say; computes nothing.
class Touching : public Executable {
 public:
  explicit Touching(std::vector<Reads> reads) : effects_{std::move(reads)} {}
  const Effects& effects() const override {
    return effects_;
  }
  std::optional<Fault> evaluate(
      mx::Stream,
      const std::vector<mx::array>&,
      std::vector<mx::array>&) const override {
    return std::nullopt;
  }

 private:
  Effects effects_;
};

/// Floats at a made-up address.
View floats(uintptr_t first, int64_t count) {
  return {Address(4096 + 4 * first), lang::Type::F32, {count}, {1}};
}

SequenceItem item(
    std::vector<View> inputs,
    std::vector<View> outputs,
    std::vector<Reads> reads = {}) {
  reads.resize(inputs.size(), Reads::InOrder);
  return {
      std::make_shared<Touching>(reads), std::move(inputs), std::move(outputs)};
}

std::vector<int> waits(const std::vector<SequenceItem>& items, int number) {
  return waits_of(items)[number].items;
}

TEST(Order, ExtentsReachAsFarAsStridesAndPlacesDo) {
  View view{Address(1000), lang::Type::F32, {3, 2}, {-4, 1}};
  EXPECT_EQ(extent_of(view).begin, Address(1000 - 8 * 4));
  EXPECT_EQ(extent_of(view).end, Address(1000 + 2 * 4));
  view.at = Address(64);
  view.at_stride = 10;
  view.places = 5;
  EXPECT_EQ(extent_of(view).end, Address(1000 + (40 + 2) * 4));
  view.shape = {0, 2};
  EXPECT_EQ(extent_of(view).begin, extent_of(view).end);
}

TEST(Order, ReadersFollowWritersAndWritersFollowBoth) {
  const std::vector<SequenceItem> items{
      item({floats(0, 8)}, {floats(8, 8)}),
      item({floats(8, 4)}, {floats(16, 8)}), // reads what 0 wrote
      item({floats(0, 8)}, {floats(24, 8)}), // nothing to do with either
      item({floats(24, 8)}, {floats(12, 2)}), // writes over what 0 wrote
      item({floats(30, 1)}, {floats(8, 1)})}; // writes over what 1 read
  EXPECT_EQ(waits(items, 0), std::vector<int>{});
  EXPECT_EQ(waits(items, 1), std::vector<int>{0});
  EXPECT_EQ(waits(items, 2), std::vector<int>{});
  EXPECT_EQ(waits(items, 3), (std::vector<int>{0, 2}));
  EXPECT_EQ(waits(items, 4), (std::vector<int>{0, 1, 2}));
}

TEST(Order, WhatPlacesAViewIsReadToo) {
  View placed = floats(0, 4);
  placed.at = Address(4096 + 4 * 100);
  placed.at_stride = 4;
  placed.places = 8;
  const std::vector<SequenceItem> items{
      item({}, {floats(100, 1)}), // writes the cell
      item({placed}, {floats(200, 4)}),
      item({floats(200, 4)}, {placed})};
  EXPECT_EQ(waits(items, 1), std::vector<int>{0});
  EXPECT_EQ(waits(items, 2), (std::vector<int>{0, 1}));
}

TEST(Order, EarlyReadsWaitForTheLastWriterOnly) {
  const std::vector<SequenceItem> items{
      item({}, {floats(0, 4)}),
      item({}, {floats(2, 4)}),
      item({}, {floats(50, 4)}),
      item(
          {floats(0, 4), floats(90, 4), floats(50, 4)},
          {floats(60, 1)},
          {Reads::Early, Reads::Early, Reads::InOrder})};
  EXPECT_EQ(waits_of(items)[3].early, (std::vector<int>{1, -1, -2}));
}

TEST(Order, OlderKeysAreApartFromTheRowThatAStepAppends) {
  const View cache{Address(8192), lang::Type::F32, {8, 4}, {4, 1}};
  View row = cache;
  row.shape = {1, 4};
  row.at = Address(64);
  row.at_stride = 4;
  row.places = 8;
  const auto attention =
      item({cache}, {floats(0, 4)}, {Reads::EarlyButLastRow});
  EXPECT_EQ(waits_of({item({}, {row}), attention})[1].early[0], -1);
  EXPECT_EQ(waits_of({item({}, {row}), attention})[1].items[0], 0);
  EXPECT_EQ(waits_of({item({}, {cache}), attention})[1].early[0], 0);
}

} // namespace
} // namespace zmlx::backend
