#include "zmlx/nn/rope.h"

#include <cmath>
#include <numbers>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"

namespace zmlx::nn {
namespace {

constexpr int heads = 2;
constexpr int length = 5;
constexpr int dims = 8;
constexpr float base = 10000;

mx::array sample() {
  auto x = mx::random::normal({1, heads, length, dims}, mx::random::key(1));
  mx::eval(x);
  return x;
}

// Rotates pair i of position p by p * angle(i), in float64.
template <typename Angle>
void expect_rotated(
    const Rope& rope,
    int offset,
    bool traditional,
    Angle&& angle) {
  auto x = sample();
  auto y = rope(x, offset);
  auto through_array = rope(x, mx::array(offset));
  mx::eval({y, through_array});
  for (int row = 0; row < heads * length; ++row) {
    const float* in = x.data<float>() + row * dims;
    const float* out = y.data<float>() + row * dims;
    const float* again = through_array.data<float>() + row * dims;
    const double position = offset + row % length;
    for (int i = 0; i < dims / 2; ++i) {
      const int a = traditional ? 2 * i : i;
      const int b = traditional ? 2 * i + 1 : i + dims / 2;
      const double t = position * angle(i);
      EXPECT_NEAR(out[a], in[a] * std::cos(t) - in[b] * std::sin(t), 2e-5);
      EXPECT_NEAR(out[b], in[a] * std::sin(t) + in[b] * std::cos(t), 2e-5);
      EXPECT_NEAR(again[a], out[a], 2e-5);
      EXPECT_NEAR(again[b], out[b], 2e-5);
    }
  }
}

double plain_angle(int i) {
  return std::pow(base, -2.0 * i / dims);
}

TEST(Rope, Plain) {
  for (int offset : {0, 1, 77}) {
    for (bool traditional : {false, true}) {
      Rope rope(dims, base, traditional, {});
      expect_rotated(rope, offset, traditional, plain_angle);
    }
  }
}

TEST(Rope, Linear) {
  Rope rope(dims, base, false, LinearRopeScaling{4});
  expect_rotated(rope, 10, false, [](int i) { return plain_angle(i) / 4; });
}

TEST(Rope, Factors) {
  const std::vector<float> factors = {1, 2, 4, 32};
  Rope rope(dims, base, true, RopeFactors{factors});
  expect_rotated(
      rope, 10, true, [&](int i) { return plain_angle(i) / factors[i]; });
  EXPECT_THROW(Rope(dims, base, true, RopeFactors{{1, 2}}), InternalError);
}

// As apply_scaling of meta-llama/llama-models, on frequencies.
TEST(Rope, Llama3) {
  Llama3RopeScaling scaling{8, 1, 4, 256};
  auto angle = [&](int i) {
    const double freq = plain_angle(i);
    const double wavelength = 2 * std::numbers::pi / freq;
    if (wavelength < 256 / 4.0) {
      return freq;
    }
    if (wavelength > 256 / 1.0) {
      return freq / 8;
    }
    const double smooth = (256 / wavelength - 1) / (4 - 1);
    return (1 - smooth) * freq / 8 + smooth * freq;
  };
  // Wavelengths 6, 63, 628 and 6283: kept and stretched here, blended below.
  Rope rope(dims, base, false, scaling);
  expect_rotated(rope, 33, false, angle);
  scaling.original_context = 1024;
  auto wider = [&](int i) {
    const double freq = plain_angle(i);
    const double wavelength = 2 * std::numbers::pi / freq;
    const double smooth = (1024 / wavelength - 1) / 3;
    return wavelength < 256 ? freq
        : wavelength > 1024 ? freq / 8
                            : (1 - smooth) * freq / 8 + smooth * freq;
  };
  expect_rotated(Rope(dims, base, false, scaling), 33, false, wider);
}

} // namespace
} // namespace zmlx::nn
