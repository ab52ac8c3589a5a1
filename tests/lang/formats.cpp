#include "zmlx/lang/formats.h"

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"
#include "zmlx/lang/kernel.h"

namespace zmlx::lang {
namespace {

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

template <typename T>
const std::byte* bytes(const std::vector<T>& v) {
  return reinterpret_cast<const std::byte*>(v.data());
}

TEST(Formats, EveryRowIsWhole) {
  for (const WeightFormat format : all_formats()) {
    const FormatRow& row = row_of(format);
    EXPECT_EQ(find_format(row.name), format);
    ASSERT_FALSE(row.parts.empty());
    EXPECT_LE(row.parts.size(), size_t{kMostParts});
    EXPECT_EQ(row.parts[0].name, "");
    const bool codes = row.parts[0].use == PartUse::Codes;
    EXPECT_EQ(codes, !row.bits.empty()) << row.name;
    EXPECT_EQ(codes ? row.parts[0].type : Type::U32, Type::U32) << row.name;
    for (const FormatPart& part : row.parts) {
      EXPECT_EQ(part.use == PartUse::Codes, &part == &row.parts[0] && codes);
      EXPECT_LE(part.low, part.high);
    }
  }
  EXPECT_EQ(find_format("sparse"), std::nullopt);
}

// Bit by bit from the definition of the stream.
TEST(Formats, AffineNumbersAreScaleTimesCodePlusBias) {
  std::mt19937 random(1);
  for (const int bits : {2, 3, 4, 5, 6, 8}) {
    const int64_t rows = 3, width = 96, group = 32;
    std::vector<uint32_t> w(rows * width * bits / 32);
    for (uint32_t& word : w) {
      word = static_cast<uint32_t>(random());
    }
    std::vector<float> scales, biases;
    for (int64_t i = 0; i < rows * width / group; ++i) {
      scales.push_back(0.01f * static_cast<float>(i + 1));
      biases.push_back(-0.3f * static_cast<float>(i));
    }
    const Weight weight{WeightFormat::Affine, bits, group};
    const PartRows parts[] = {
        {bytes(w), Type::U32, width * bits / 8},
        {bytes(scales), Type::F32, 12},
        {bytes(biases), Type::F32, 12}};
    for (int64_t row = 0; row < rows; ++row) {
      std::vector<double> got(50);
      decode(weight, parts, row, 30, 50, got.data());
      for (int64_t i = 0; i < 50; ++i) {
        const int64_t k = 30 + i;
        double code = 0;
        for (int b = 0; b < bits; ++b) {
          const int64_t bit = row * width * bits + k * bits + b;
          code += w[bit / 32] >> bit % 32 & 1 ? 1 << b : 0;
        }
        const int64_t g = row * 3 + k / group;
        EXPECT_EQ(got[i], code * scales[g] + double{biases[g]}) << bits;
      }
    }
  }
}

TEST(Formats, FloatsOfEveryTypeAreReadExactly) {
  const Weight weight{WeightFormat::Dense};
  const auto read = [&](Type type, const std::byte* data, int64_t count) {
    const PartRows part{data, type, 0};
    std::vector<double> out(count);
    decode(weight, {&part, 1}, 0, 0, count, out.data());
    return out;
  };
  const std::vector<uint16_t> half = {
      0x3c00, 0xc000, 0x7bff, 0x0001, 0x0400, 0x7c00, 0xfc00, 0x3555};
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(
      read(Type::F16, bytes(half), 8),
      (std::vector<double>{
          1, -2, 65504, 0x1p-24, 0x1p-14, inf, -inf, 0x1.554p-2}));
  EXPECT_TRUE(
      std::isnan(read(Type::F16, bytes(std::vector<uint16_t>{0x7e00}), 1)[0]));
  EXPECT_EQ(
      read(Type::BF16, bytes(std::vector<uint16_t>{0x3f80, 0xc040}), 2),
      (std::vector<double>{1, -3}));
  EXPECT_EQ(
      read(Type::F64, bytes(std::vector<double>{0.1, -7}), 2),
      (std::vector<double>{0.1, -7}));
}

TEST(Formats, WhatAFormatCannotHave) {
  EXPECT_EQ(
      shape_fault({WeightFormat::Affine, 7, 32}, 64),
      "affine weights have 2, 3, 4, 5, 6 or 8 bits, got 7");
  EXPECT_EQ(
      shape_fault({WeightFormat::Affine, 4, 16}, 64),
      "affine weights have groups of 32, 64 or 128, got 16");
  EXPECT_EQ(
      shape_fault({WeightFormat::Affine, 4, 64}, 96),
      "rows of 96 are not a whole number of groups of 64");
  EXPECT_EQ(shape_fault({WeightFormat::Affine, 4, 32}, 96), std::nullopt);
  EXPECT_EQ(shape_fault({}, 7), std::nullopt);
}

Body gathered(int bits, int group_size, Role role = Role::EachRow) {
  return Kernel(
             "k",
             "",
             [&](Define& k) {
               auto x = k.input("x");
               auto w = k.weight("w", bits, group_size);
               w.experts = k.input("expert", role)->input;
               k.output(product(x, w));
             })
      .body();
}

TEST(Formats, ProductsOfSeveralMatrices) {
  const Body body = gathered(4, 32);
  EXPECT_EQ(
      infer_shapes(body, {{2, 1, 64}, {5, 48, 8}, {5, 48, 2}, {5, 48, 2}, {3}}),
      (std::vector<Shape>{{2, 3, 48}}));
  EXPECT_EQ(
      message_of([&] {
        infer_shapes(body, {{3, 64}, {48, 8}, {48, 2}, {48, 2}, {3}});
      }),
      "w: expected shape (E, M, 8) for 4 bits and rows of 64, got (48, 8)");
  EXPECT_EQ(
      message_of([&] {
        infer_shapes(body, {{3, 64}, {5, 48, 8}, {5, 48, 2}, {4, 48, 2}, {3}});
      }),
      "w_biases: expected shape (5, 48, 2), got (4, 48, 2)");
  EXPECT_EQ(
      message_of([&] {
        infer_shapes(body, {{3, 64}, {5, 48, 8}, {5, 48, 2}, {5, 48, 2}, {4}});
      }),
      "expert: shape (4) does not broadcast with (3, 64) of the inputs before "
      "it");
}

TEST(Formats, TypesOfParts) {
  const std::vector<Type> right = {
      Type::F32, Type::U32, Type::F16, Type::F16, Type::I32};
  const Body body = gathered(4, 32);
  EXPECT_EQ(infer_types(body, right), std::vector<Type>{Type::F32});
  const auto with = [&](size_t input, Type type) {
    auto types = right;
    types[input] = type;
    return message_of([&] { infer_types(body, types); });
  };
  EXPECT_EQ(with(1, Type::F32), "w: expected uint32, got float32");
  EXPECT_EQ(with(2, Type::I32), "w_scales: expected floats, got int32");
  EXPECT_EQ(
      with(4, Type::F32),
      "expert: expected an integer for each row, got float32");
  EXPECT_EQ(
      message_of([&] { infer_types(gathered(4, 32, Role::Whole), right); }),
      "expert: expected an integer for each row, got int32 of another role");
}

} // namespace
} // namespace zmlx::lang
