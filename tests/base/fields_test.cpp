#include "zmlx/base/fields.h"

#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace zmlx {
namespace {

enum class Color : uint8_t { Red, Blue };

struct Inner {
  int a = 0;
  float b = 0;

  auto fields() const {
    return std::tie(a, b);
  }
};
static_assert(lists_all_members<Inner>);

struct Outer {
  Color color = Color::Red;
  double number = 0;
  std::array<uint16_t, 2> pair{};
  std::vector<int> list;
  Inner inner;

  auto fields() const {
    return std::tie(color, number, pair, list, inner);
  }
};
static_assert(lists_all_members<Outer>);

struct Forgetful {
  int a = 0;
  std::string b;

  auto fields() const {
    return std::tie(a);
  }
};
static_assert(count_members<Forgetful>() == 2);
static_assert(!lists_all_members<Forgetful>);

struct Empty {};
static_assert(count_members<Empty>() == 0);

std::vector<uint64_t> words(const Outer& x) {
  std::vector<uint64_t> all;
  for_each_word(x, [&](uint64_t word) { all.push_back(word); });
  return all;
}

TEST(Fields, WordsFollowTheList) {
  const Outer x{Color::Blue, 1.0, {7, 8}, {5}, {-1, 2.0f}};
  const std::vector<uint64_t> expected = {
      1,
      0x3FF0000000000000,
      2, // elements
      7,
      8,
      1,
      5,
      0xFFFFFFFFFFFFFFFF,
      0x4000000000000000};
  EXPECT_EQ(words(x), expected);
}

TEST(Fields, EveryFieldCounts) {
  const Outer x{Color::Red, 0.5, {1, 2}, {3}, {4, 5}};
  std::vector<Outer> others(6, x);
  others[0].color = Color::Blue;
  others[1].number = 0.25;
  others[2].pair[1] = 9;
  others[3].list.push_back(0);
  others[4].inner.a = 9;
  others[5].inner.b = 9;
  EXPECT_TRUE(FieldsEqual()(x, Outer(x)));
  EXPECT_EQ(FieldsHash()(x), FieldsHash()(Outer(x)));
  for (const Outer& other : others) {
    EXPECT_FALSE(FieldsEqual()(x, other));
    EXPECT_NE(FieldsHash()(x), FieldsHash()(other));
  }
}

TEST(Fields, NumbersAreEqualByTheirBits) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Outer x, y;
  x.number = y.number = nan;
  EXPECT_TRUE(FieldsEqual()(x, y));
  EXPECT_EQ(FieldsHash()(x), FieldsHash()(y));
  x.number = 0.0;
  y.number = -0.0;
  EXPECT_FALSE(FieldsEqual()(x, y));
  EXPECT_NE(FieldsHash()(x), FieldsHash()(y));
}

} // namespace
} // namespace zmlx
