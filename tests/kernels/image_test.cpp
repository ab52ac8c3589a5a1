// Images, against loops in double.

#include "zmlx/kernels/image.h"

#include <algorithm>

#include "tests/kernels/against.h"
#include "zmlx/base/errors.h"

namespace zmlx::kernels {

namespace {

using namespace test;

// The two neighbours of a place and the share of the second.
struct Neighbours {
  int low, high;
  double share;
};

Neighbours neighbours(int at, int from, int to) {
  const double place = std::clamp(
      (at + 0.5) * from / static_cast<double>(to) - 0.5, 0.0, from - 1.0);
  const int low = static_cast<int>(std::floor(place));
  return {low, std::min(low + 1, from - 1), place - low};
}

// visit(output element, input element, weight) for each pair that a resize
// joins.
template <typename Visit>
void for_each_corner(
    const mx::Shape& from,
    int height,
    int width,
    Visit visit) {
  const int channels = from[3];
  for (int n = 0; n < from[0]; ++n) {
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        const auto ny = neighbours(y, from[1], height);
        const auto nx = neighbours(x, from[2], width);
        for (int corner = 0; corner < 4; ++corner) {
          const int row = corner / 2 ? ny.high : ny.low;
          const int column = corner % 2 ? nx.high : nx.low;
          const double weight = (corner / 2 ? ny.share : 1 - ny.share) *
              (corner % 2 ? nx.share : 1 - nx.share);
          for (int c = 0; c < channels; ++c) {
            visit(
                ((n * height + y) * width + x) * channels + c,
                ((n * from[1] + row) * from[2] + column) * channels + c,
                weight);
          }
        }
      }
    }
  }
}

mx::array to_array(const std::vector<double>& v, const mx::Shape& shape) {
  return mx::array(v.data(), shape, mx::float64);
}

TEST(ResizeBilinear, ValuesAndGradientsEqualLoops) {
  struct Case {
    mx::Shape from;
    int height, width;
  };
  for (const auto& [from, height, width] : std::vector<Case>{
           {{1, 1, 1, 1}, 3, 2},
           {{2, 5, 7, 3}, 10, 14},
           {{2, 5, 7, 3}, 3, 20},
           {{1, 13, 8, 4}, 5, 3},
           {{1, 6, 5, 17}, 6, 5}}) {
    const mx::Shape to{from[0], height, width, from[3]};
    const auto resize =
        resize_bilinear.with({{"height", height}, {"width", width}});
    for (auto type : {mx::float32, mx::float16, mx::bfloat16, mx::float64}) {
      const auto x = mx::astype(normal(from, 1), type);
      const auto c = mx::astype(normal(to, 2), type);
      const auto xs = values(x), cs = values(c);
      std::vector<double> out(cs.size()), gradient(xs.size());
      for_each_corner(from, height, width, [&](int o, int i, double weight) {
        out[o] += weight * xs[i];
        gradient[i] += weight * cs[o];
      });
      const auto got = resize(x);
      ASSERT_EQ(got.dtype(), type);
      expect_within(got, to_array(out, to), measure::OpClass::row, "value");
      expect_within(
          gradients(
              [&](const Arrays& in) { return Arrays{resize(in[0])}; },
              {x},
              {c})[0],
          to_array(gradient, from),
          measure::OpClass::row,
          "gradient");
    }
  }
  EXPECT_EQ(gradient_fallbacks("resize_bilinear"), 0);
}

TEST(ResizeBilinear, TheSameSizeIsTheSameImage) {
  const auto x = normal({2, 3, 4, 5}, 1);
  expect_same_bits(resize_bilinear(x), x);
}

TEST(ResizeBilinear, OtherRanksAreRefused) {
  EXPECT_THROW(resize_bilinear(mx::zeros({4, 5, 3})), UserError);
}

// Products of pixels and taps as MLX slices.
mx::array convolved(const mx::array& x, const mx::array& w) {
  const int h = x.shape(1), width = x.shape(2);
  const auto padded = mx::pad(x, {{0, 0}, {1, 1}, {1, 1}, {0, 0}});
  auto sum = mx::zeros_like(x);
  for (int dy = 0; dy < 3; ++dy) {
    for (int dx = 0; dx < 3; ++dx) {
      const auto from = mx::slice(
          padded, {0, dy, dx, 0}, {x.shape(0), dy + h, dx + width, x.shape(3)});
      const auto tap = mx::slice(w, {dy, dx, 0}, {dy + 1, dx + 1, w.shape(2)});
      sum = mx::add(sum, mx::multiply(from, mx::reshape(tap, {-1})));
    }
  }
  return sum;
}

TEST(DepthwiseConv, ValuesAndGradientsOfImageAndFilter) {
  for (const mx::Shape& shape : std::vector<mx::Shape>{
           {1, 1, 1, 1}, {2, 5, 7, 3}, {3, 1, 9, 17}, {1, 14, 14, 8}}) {
    expect_values_and_gradients(
        [](const Arrays& in) {
          return Arrays{depthwise_conv_3x3(in[0], in[1])};
        },
        [](const Arrays& in) { return Arrays{convolved(in[0], in[1])}; },
        {normal(shape, 1), normal({3, 3, shape[3]}, 2)});
  }
  EXPECT_EQ(gradient_fallbacks("depthwise_conv_3x3"), 0);
}

TEST(DepthwiseConv, ImagesDoNotMeetEachOther) {
  auto x = mx::concatenate(
      {mx::ones({1, 2, 2, 1}), mx::full({1, 2, 2, 1}, mx::array(100.f))}, 0);
  EXPECT_EQ(
      values(depthwise_conv_3x3(x, mx::ones({3, 3, 1}))),
      (std::vector<double>{4, 4, 4, 4, 400, 400, 400, 400}));
}

} // namespace

} // namespace zmlx::kernels
