// Casts, and floats of 16 bits against all of their values.
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "tests/backend/cpu/block_operations.h"
#include "tests/backend/cpu/targets.h"
#include "zmlx/backend/cpu/half.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Op;
using lang::Type;

TEST(BlockOperations, Casts) {
  const auto get = [](Type from, Type to) {
    return find_operation(instruction(Op::Cast, to, from));
  };
  const std::vector<float> x = {0.5f, -0.5f, 2.9f, -2.9f, 3e9f, -3e9f, kNan, 0};
  const int32_t most = std::numeric_limits<int32_t>::max();
  for_each_target([&] {
    EXPECT_EQ(
        apply<int32_t>(get(Type::F32, Type::I32), x, x),
        (std::vector<int32_t>{0, 0, 2, -2, most, -most - 1, 0, 0}));
    EXPECT_EQ(
        apply<int32_t>(get(Type::F32, Type::Bool), x, x),
        (std::vector<int32_t>{1, 1, 1, 1, 1, 1, 1, 0}));
    EXPECT_EQ(
        apply<uint32_t>(get(Type::F32, Type::U32), x, x),
        (std::vector<uint32_t>{0, 0, 2, 0, 3000000000u, 0, 0, 0}));
    const std::vector<int32_t> i = {0, 1, -1, most};
    EXPECT_EQ(
        apply<float>(get(Type::I32, Type::F32), i, i),
        (std::vector<float>{0, 1, -1, 2147483648.0f}));
    EXPECT_EQ(
        apply<uint64_t>(get(Type::I32, Type::U64), i, i),
        (std::vector<uint64_t>{0, 1, ~uint64_t{0}, 2147483647u}));
  });
}

// Nearest of all values of a 16-bit float, ties to the even one.
template <typename Decode>
uint16_t nearest_half(float x, uint16_t infinity, Decode decode) {
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  const double want = std::abs(static_cast<double>(x));
  int low = 0, high = infinity; // decode(low) <= want < decode(high)
  if (want >= decode(infinity - 1)) {
    low = infinity - 1;
  } else {
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      (decode(static_cast<uint16_t>(middle)) <= want ? low : high) = middle;
    }
  }
  const double below = decode(static_cast<uint16_t>(low));
  const double step = below - decode(static_cast<uint16_t>(low - (low > 0)));
  const double above =
      high == infinity ? below + step : decode(static_cast<uint16_t>(high));
  const double up = want - below, down = above - want;
  const bool higher = up > down || (up == down && low % 2 != 0);
  return static_cast<uint16_t>(sign | (low + higher));
}

TEST(BlockOperations, SixteenBitFloatsRoundToNearestEven) {
  std::vector<float> x = {
      0.0f,
      -0.0f,
      65504.0f,
      65519.9f,
      65520.0f,
      1e6f,
      6e-8f,
      3e-8f,
      2.9e-8f,
      1e-10f,
      6.1e-5f,
      6.09e-5f,
      1.0009766f,
      1.00048828125f,
      1.00146484375f,
      3e38f,
      1e-40f};
  std::mt19937 random(5);
  std::uniform_real_distribution<float> exponent(-28, 17);
  for (int i = 0; i < 4000; ++i) {
    x.push_back((i % 2 ? 1 : -1) * std::exp2(exponent(random)));
  }
  for_each_target([&] {
    for (Type type : {Type::F16, Type::BF16}) {
      const bool f16 = type == Type::F16;
      const auto decode = [&](uint16_t h) -> double {
        return f16 ? from_float16(h) : from_bfloat16(h);
      };
      std::vector<uint16_t> stored(x.size());
      find_store(Type::F32, type, true)(
          {stored.data(), 1, x.data(), ~size_t{0}, x.size()});
      std::vector<float> loaded(x.size());
      find_load(type, true)(loaded.data(), stored.data(), 1, x.size());
      auto rounding = instruction(Op::As, Type::F32);
      rounding.rounded = type;
      const auto as = apply<float>(find_operation(rounding), x, x);
      for (size_t i = 0; i < x.size(); ++i) {
        const auto want = nearest_half(x[i], f16 ? 0x7C00 : 0x7F80, decode);
        ASSERT_EQ(stored[i], want) << x[i];
        ASSERT_EQ(loaded[i], static_cast<float>(decode(want)));
        ASSERT_EQ(as[i], loaded[i]);
      }
    }
  });
}

TEST(BlockOperations, EverySixteenBitPatternLoadsAndStores) {
  std::vector<uint16_t> all(65536), back(65536);
  for (size_t i = 0; i < all.size(); ++i) {
    all[i] = static_cast<uint16_t>(i);
  }
  std::vector<float> wide(65536);
  for_each_target([&] {
    for (Type type : {Type::F16, Type::BF16}) {
      find_load(type, true)(wide.data(), all.data(), 1, all.size());
      find_store(Type::F32, type, true)(
          {back.data(), 1, wide.data(), ~size_t{0}, all.size()});
      for (size_t i = 0; i < all.size(); ++i) {
        if (std::isnan(wide[i])) {
          ASSERT_TRUE(std::isnan(
              type == Type::F16 ? from_float16(back[i])
                                : from_bfloat16(back[i])));
          ASSERT_GT(all[i] & 0x7FFF, type == Type::F16 ? 0x7C00 : 0x7F80);
        } else {
          ASSERT_EQ(back[i], all[i]);
        }
      }
    }
  });
  EXPECT_EQ(from_float16(0x3C00), 1.0f);
  EXPECT_EQ(from_float16(0x0001), 0x1p-24f);
  EXPECT_EQ(from_bfloat16(0x3F80), 1.0f);
}

} // namespace
} // namespace zmlx::backend::cpu
