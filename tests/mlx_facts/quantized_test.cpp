#include <gtest/gtest.h>
#include <mlx/mlx.h>

namespace mx = mlx::core;

namespace {

struct Quantized {
  mx::array w, scales, biases;
};

Quantized quantized(int rows, int columns, int group_size, int bits) {
  auto parts = mx::quantize(
      mx::random::normal({rows, columns}, mx::random::key(1)),
      group_size,
      bits);
  return {parts[0], parts[1], parts[2]};
}

// So scales of float16 files are cast once at load, and the unpatched model
// does not cast them again in each step.
TEST(MlxFacts, ScalesOfFloat32KeepAFloat32ProductFreeOfCasts) {
  auto [w, scales, biases] = quantized(16, 64, 32, 4);
  auto x = mx::random::normal({1, 64}, mx::random::key(2));
  auto y = mx::quantized_matmul(x, w, scales, biases, true, 32, 4);
  EXPECT_EQ(y.dtype(), mx::float32);
  EXPECT_EQ(y.inputs()[2].id(), scales.id());
  auto half_scales = mx::astype(scales, mx::float16);
  auto half_biases = mx::astype(biases, mx::float16);
  auto z = mx::quantized_matmul(x, w, half_scales, half_biases, true, 32, 4);
  EXPECT_EQ(z.dtype(), mx::float32);
  EXPECT_NE(z.inputs()[2].id(), half_scales.id());
  EXPECT_EQ(z.inputs()[2].dtype(), mx::float32);
}

// Element i of a row stands at bit (i * bits) % 32 of word i * bits / 32.
TEST(MlxFacts, WeightsArePackedLowBitsFirst) {
  for (int bits : {4, 8}) {
    auto [w, scales, biases] = quantized(3, 128, 64, bits);
    auto dense = mx::dequantize(w, scales, biases, 64, bits);
    mx::eval(w, scales, biases, dense);
    auto words = w.data<std::uint32_t>();
    int per_word = 32 / bits;
    for (int i = 0; i < 3 * 128; ++i) {
      auto q =
          (words[i / per_word] >> (i % per_word * bits)) & ((1u << bits) - 1);
      auto group = i / 64;
      EXPECT_FLOAT_EQ(
          dense.data<float>()[i],
          scales.data<float>()[group] * static_cast<float>(q) +
              biases.data<float>()[group]);
    }
  }
}

} // namespace
