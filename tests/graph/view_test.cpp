#include "zmlx/graph/view.h"

#include <gtest/gtest.h>
#include <mlx/mlx.h>

namespace zmlx::graph {
namespace {

namespace mx = mlx::core;

/// The elements that a view of 0, 1, 2, ... reads, in order.
std::vector<int64_t> elements(const View& view) {
  std::vector<int64_t> found;
  std::vector<int64_t> at(view.shape.size(), 0);
  for (int64_t n = 0; n < element_count(view.shape); n++) {
    int64_t place = view.offset;
    for (size_t i = 0; i < at.size(); i++) {
      place += at[i] * view.strides[i];
    }
    found.push_back(place);
    for (size_t i = at.size(); i-- > 0;) {
      if (++at[i] < view.shape[i]) {
        break;
      }
      at[i] = 0;
    }
  }
  return found;
}

std::vector<int64_t> elements(mx::array a) {
  a = mx::contiguous(mx::astype(a, mx::int64));
  a.eval();
  return {a.data<int64_t>(), a.data<int64_t>() + a.size()};
}

mx::Shape mlx_shape(const lang::Shape& shape) {
  return mx::Shape(shape.begin(), shape.end());
}

TEST(View, WholeIsContiguous) {
  auto view = whole({2, 3, 4});
  EXPECT_EQ(view.strides, (lang::Strides{12, 4, 1}));
  EXPECT_TRUE(is_whole(view, 24));
  EXPECT_FALSE(is_whole(view, 25));
  EXPECT_FALSE(is_whole(transpose(view, {1, 0, 2}), 24));
  // An axis of 1 may have any stride.
  EXPECT_TRUE(is_whole(transpose(whole({1, 1, 9, 64}), {0, 2, 1, 3}), 576));
}

TEST(View, ReshapeTransposeSliceAgreeWithMlx) {
  auto base = mx::reshape(mx::arange(0, 2 * 3 * 4 * 5), {2, 3, 4, 5});
  auto view = whole({2, 3, 4, 5});
  auto turned = transpose(view, {0, 2, 1, 3});
  auto mlx_turned = mx::transpose(base, {0, 2, 1, 3});
  EXPECT_EQ(elements(turned), elements(mlx_turned));
  auto part = slice(turned, {0, 1, 2, 4}, {1, 1, -1, -2}, {2, 3, 2, 2});
  auto mlx_part =
      mx::slice(mlx_turned, {0, 1, 2, 4}, {2, 4, 0, 0}, {1, 1, -1, -2});
  EXPECT_EQ(elements(part), elements(mlx_part));
  auto wide = broadcast_to(
      slice(view, {0, 0, 0, 0}, {1, 1, 1, 1}, {2, 1, 1, 5}), {2, 3, 4, 5});
  auto mlx_wide = mx::broadcast_to(
      mx::slice(base, {0, 0, 0, 0}, {2, 1, 1, 5}), {2, 3, 4, 5});
  EXPECT_EQ(elements(wide), elements(mlx_wide));
}

TEST(View, ReshapesWhatStridesCanSay) {
  const lang::Shape shapes[] = {
      {120}, {2, 60}, {1, 6, 1, 20}, {24, 5}, {3, 2, 4, 5}, {2, 3, 2, 2, 5}};
  auto base = mx::reshape(mx::arange(0, 120), {2, 3, 4, 5});
  auto turned = transpose(whole({2, 3, 4, 5}), {1, 0, 2, 3});
  auto mlx_turned = mx::transpose(base, {1, 0, 2, 3});
  int possible = 0;
  for (const auto& shape : shapes) {
    auto view = reshape(turned, shape);
    if (view) {
      possible++;
      EXPECT_EQ(
          elements(*view), elements(mx::reshape(mlx_turned, mlx_shape(shape))));
    }
  }
  EXPECT_EQ(possible, 1); // (3, 2, 4, 5) alone keeps the split axes apart
  EXPECT_TRUE(reshape(whole({2, 3, 4, 5}), {6, 20}).has_value());
  EXPECT_TRUE(reshape(whole({0, 3}), {3, 0}).has_value());
}

} // namespace
} // namespace zmlx::graph
