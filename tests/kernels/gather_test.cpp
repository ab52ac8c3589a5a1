// Rows that indices name.

#include "zmlx/kernels/gather.h"

#include "tests/kernels/against.h"

namespace zmlx::kernels {

namespace {

using namespace test;

TEST(Gather, AddsRowsAndGivesGradientsToThem) {
  const mx::array indices({4, 0, 4, 4, 2, 1, 0});
  for (int width : {1, 31, 64}) {
    expect_values_and_gradients(
        [&](const Arrays& in) {
          return Arrays{gather_add(in[0], indices, in[1])};
        },
        [&](const Arrays& in) {
          return Arrays{mx::add(mx::take(in[0], indices, 0), in[1])};
        },
        {normal({6, width}, 1), normal({7, width}, 2)});
  }
  EXPECT_EQ(gradient_fallbacks("gather_add"), 0);
}

TEST(Gather, IndicesOfOtherTypes) {
  const auto src = normal({6, 5}, 1), other = normal({3, 5}, 2);
  for (auto type : {mx::int64, mx::uint32, mx::uint8}) {
    const auto indices = mx::astype(mx::array({5, 0, 5}), type);
    expect_same_bits(
        gather_add(src, indices, other),
        mx::add(mx::take(src, indices, 0), other));
  }
}

TEST(Scatter, AddsToRowsInOrderAndGivesGradientsToUpdates) {
  const mx::array indices({4, 0, 4, 4, 2, 1, 0});
  const auto ours = scatter_add.with({{"rows", 6}});
  for (int width : {1, 31, 64}) {
    expect_values_and_gradients(
        [&](const Arrays& in) { return Arrays{ours(indices, in[0])}; },
        [&](const Arrays& in) {
          return Arrays{mx::scatter_add(
              mx::zeros({6, width}, in[0].dtype()),
              indices,
              mx::reshape(in[0], {7, 1, width}),
              0)};
        },
        {normal({7, width}, 1)});
  }
  EXPECT_EQ(gradient_fallbacks("scatter_add"), 0);
}

TEST(Scatter, TheOrderIsThatOfTheUpdates) {
  // (1e17 + 1) - 1e17 is 0 in float32 and in float64, (1e17 - 1e17) + 1 is 1.
  const mx::array updates({1e17f, 1.f, -1e17f, 1e17f, -1e17f, 1.f}, {6, 1});
  const mx::array indices({0, 0, 0, 1, 1, 1});
  EXPECT_EQ(
      values(scatter_add.with({{"rows", 2}})(indices, updates)),
      (std::vector<double>{0, 1}));
}

TEST(Scatter, NothingToAdd) {
  const auto got = scatter_add.with({{"rows", 3}})(
      mx::zeros({0}, mx::int32), mx::zeros({0, 2}));
  EXPECT_EQ(got.shape(), (mx::Shape{3, 2}));
  EXPECT_EQ(values(got), std::vector<double>(6, 0));
}

} // namespace

} // namespace zmlx::kernels
