// Truth values as bits.

#include "zmlx/kernels/bits.h"

#include <limits>

#include "tests/kernels/against.h"

namespace zmlx::kernels {

namespace {

using namespace test;

mx::array coin(const mx::Shape& shape, uint64_t seed) {
  return mx::greater(normal(shape, seed), mx::array(0.f));
}

// Bytes of a row, by a loop.
std::vector<double> packed(const std::vector<double>& bits, size_t width) {
  std::vector<double> bytes;
  for (size_t row = 0; row * width < bits.size(); ++row) {
    for (size_t b = 0; b < width; b += 8) {
      int byte = 0;
      for (size_t i = b; i < std::min(b + 8, width); ++i) {
        byte |= bits[row * width + i] != 0 ? 1 << (i - b) : 0;
      }
      bytes.push_back(byte);
    }
  }
  return bytes;
}

TEST(Bits, PackedLowestFirstAndPaddedWithZeros) {
  EXPECT_EQ(
      values(pack_bits(mx::array({1, 0, 0, 0, 0, 0, 0, 1, 0, 5}))),
      (std::vector<double>{129, 2}));
  for (int width : {1, 7, 8, 9, 64, 1031}) {
    const auto x = coin({3, width}, width);
    const auto got = pack_bits(x);
    ASSERT_EQ(got.dtype(), mx::uint8);
    ASSERT_EQ(got.shape(), (mx::Shape{3, (width + 7) / 8}));
    EXPECT_EQ(values(got), packed(values(x), width));
  }
}

TEST(Bits, WhatIsNotZeroIsSet) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const mx::array x({0.f, -0.f, 0.25f, nan, -1.f});
  for (auto type : {mx::float32, mx::float16, mx::bfloat16}) {
    EXPECT_EQ(values(pack_bits(mx::astype(x, type)))[0], 4 + 8 + 16);
  }
  EXPECT_EQ(values(pack_bits(mx::array({int64_t{1} << 40, int64_t{0}})))[0], 1);
}

TEST(Bits, UnpackedIsWhatWasPacked) {
  for (int width : {1, 7, 8, 9, 64, 1031}) {
    const auto x = coin({2, 3, width}, width);
    const auto got = unpack_bits.with({{"size", width}})(pack_bits(x));
    ASSERT_EQ(got.dtype(), mx::uint8);
    EXPECT_EQ(values(got), values(x));
  }
  EXPECT_EQ(
      values(unpack_bits(mx::array({uint8_t{129}, uint8_t{2}}))),
      (std::vector<double>{1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0}));
}

TEST(Bits, BeyondTheBytesThereIsNothing) {
  EXPECT_EQ(
      values(unpack_bits.with({{"size", 11}})(mx::array({uint8_t{255}}))),
      (std::vector<double>{1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0}));
}

} // namespace

} // namespace zmlx::kernels
