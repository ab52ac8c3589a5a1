#include <cmath>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"
#include "zmlx/nn/embedding.h"
#include "zmlx/nn/linear.h"
#include "zmlx/nn/norm.h"

namespace zmlx::nn {
namespace {

mx::array normal(const mx::Shape& shape, int seed) {
  return mx::random::normal(shape, mx::random::key(seed));
}

Parameter param(const mx::array& a) {
  return Parameter(a, mx::float32);
}

// Largest |a - b| over the largest |b|.
double distance(const mx::array& a, const mx::array& b) {
  EXPECT_EQ(a.shape(), b.shape());
  auto b64 = mx::astype(b, mx::float64, mx::Device::cpu);
  auto a64 = mx::astype(a, mx::float64, mx::Device::cpu);
  auto cpu = mx::Device::cpu;
  auto gap = mx::max(mx::abs(mx::subtract(a64, b64, cpu), cpu), cpu);
  return mx::divide(gap, mx::max(mx::abs(b64, cpu), cpu), cpu).item<double>();
}

// x times the transpose of w, plus b, in float64 on the host.
mx::array product(const mx::array& x, const mx::array& w, const float* bias) {
  mx::eval({x, w});
  const int n = x.shape(0), rows = w.shape(0), columns = w.shape(1);
  std::vector<float> y;
  for (int i = 0; i < n; ++i) {
    for (int r = 0; r < rows; ++r) {
      double sum = bias ? bias[r] : 0;
      for (int c = 0; c < columns; ++c) {
        sum += double(x.data<float>()[i * columns + c]) *
            w.data<float>()[r * columns + c];
      }
      y.push_back(static_cast<float>(sum));
    }
  }
  return mx::array(y.data(), {n, rows});
}

struct Packed {
  Matrix matrix;
  mx::array values; // what it stands for, float32
};

Packed packed(int rows, int columns, int group_size, int bits) {
  auto parts = mx::quantize(normal({rows, columns}, 3), group_size, bits);
  auto scales = mx::astype(parts[1], mx::float16);
  auto biases = mx::astype(parts[2], mx::float16);
  auto values = mx::dequantize(
      parts[0],
      mx::astype(scales, mx::float32),
      mx::astype(biases, mx::float32),
      group_size,
      bits);
  Matrix matrix(
      param(parts[0]),
      param(scales),
      param(biases),
      {group_size, bits, "affine"});
  return {std::move(matrix), values};
}

TEST(Linear, DenseWithAndWithoutBias) {
  auto w = mx::astype(normal({5, 64}, 1), mx::bfloat16);
  auto values = mx::astype(w, mx::float32);
  auto x = normal({3, 64}, 2);
  auto bias = normal({5}, 3);
  mx::eval(bias);
  Linear plain(Matrix(param(w)), std::nullopt);
  EXPECT_LT(distance(plain(x), product(x, values, nullptr)), 1e-6);
  Linear biased(Matrix(param(w)), param(bias));
  EXPECT_LT(distance(biased(x), product(x, values, bias.data<float>())), 1e-6);
}

TEST(Linear, PackedInEveryWidth) {
  auto x = normal({3, 128}, 2);
  auto bias = normal({7}, 3);
  mx::eval(bias);
  for (int group_size : {32, 64, 128}) {
    for (int bits : {2, 3, 4, 5, 6, 8}) {
      auto [matrix, values] = packed(7, 128, group_size, bits);
      EXPECT_EQ(matrix.rows(), 7);
      EXPECT_EQ(matrix.columns(), 128);
      Linear linear(matrix, param(bias));
      EXPECT_LT(
          distance(linear(x), product(x, values, bias.data<float>())), 1e-5)
          << bits << " bits, groups of " << group_size;
    }
  }
}

TEST(Linear, Mxfp4) {
  auto parts = mx::quantize(normal({7, 64}, 3), 32, 4, "mxfp4");
  auto values = mx::astype(
      mx::dequantize(parts[0], parts[1], std::nullopt, 32, 4, "mxfp4"),
      mx::float32);
  Matrix matrix(
      param(parts[0]), param(parts[1]), std::nullopt, {32, 4, "mxfp4"});
  auto x = normal({2, 64}, 4);
  EXPECT_LT(distance(matrix.apply(x), product(x, values, nullptr)), 1e-5);
  EXPECT_EQ(matrix.take(mx::array({1, 0})).dtype(), mx::float32);
}

TEST(Embedding, TakesRowsAndIsItsOwnHead) {
  auto [matrix, values] = packed(9, 64, 32, 4);
  Embedding embedding(matrix);
  auto tokens = mx::array({8, 0, 3, 3}, {2, 2});
  auto rows = embedding(tokens);
  EXPECT_EQ(rows.dtype(), mx::float32);
  EXPECT_LT(distance(rows, mx::take(values, tokens, 0)), 1e-7);
  auto x = normal({2, 64}, 4);
  EXPECT_LT(
      distance(embedding.as_linear(x), product(x, values, nullptr)), 1e-5);
}

TEST(Parameter, IsCastOnceUnlessPacked) {
  EXPECT_EQ(param(mx::zeros({3}, mx::float16)).get().dtype(), mx::float32);
  EXPECT_EQ(param(mx::zeros({3}, mx::uint32)).get().dtype(), mx::uint32);
}

TEST(RMSNorm, MatchesItsFormula) {
  auto x = normal({2, 64}, 1);
  auto weight = normal({64}, 2);
  mx::eval({x, weight});
  std::vector<float> expected;
  for (int row = 0; row < 2; ++row) {
    const float* v = x.data<float>() + row * 64;
    double squares = 0;
    for (int i = 0; i < 64; ++i) {
      squares += double(v[i]) * v[i];
    }
    for (int i = 0; i < 64; ++i) {
      expected.push_back(static_cast<float>(
          v[i] / std::sqrt(squares / 64 + 1e-3) * weight.data<float>()[i]));
    }
  }
  RMSNorm norm(param(weight), 1e-3f);
  EXPECT_LT(distance(norm(x), mx::array(expected.data(), {2, 64})), 1e-6);
}

TEST(Matrix, RefusesShapesThatDoNotFit) {
  EXPECT_THROW(Matrix(param(mx::zeros({3}))), InternalError);
  auto words = mx::zeros({4, 8}, mx::uint32);
  auto scales = param(mx::zeros({4, 3}));
  EXPECT_THROW(
      Matrix(param(words), scales, scales, {32, 4, "affine"}), InternalError);
}

} // namespace
} // namespace zmlx::nn
