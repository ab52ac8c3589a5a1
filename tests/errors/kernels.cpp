// Arrays that do not fit kernels of the catalogue, and the messages they get.
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/errors/messages.h"
#include "zmlx/kernels/image.h"

namespace zmlx::kernels {
namespace {

TEST(KernelErrors, FiltersOfAnotherSize) {
  const auto x = mx::zeros({2, 5, 7, 4});
  const auto filter = [&](const mx::Shape& shape) {
    return [&x, shape] { depthwise_conv_3x3(x, mx::zeros(shape)); };
  };
  expect_messages({
      {filter({5, 5, 4}),
       R"(depthwise_conv_3x3: w: expected an array with 9 rows, got shape (5, 5, 4))"},
      {filter({3, 4}),
       R"(depthwise_conv_3x3: w: expected an array with 9 rows, got shape (3, 4))"},
      {filter({2, 2, 4}),
       R"(depthwise_conv_3x3: w: expected an array with 9 rows, got shape (2, 2, 4))"},
      {filter({9}),
       R"(depthwise_conv_3x3: w: expected an array with 9 rows, got shape (9))"},
      {filter({}),
       R"(depthwise_conv_3x3: w: expected an array with 9 rows, got shape ())"},
      {filter({3, 3, 4}), "no error"},
      {filter({9, 4}), "no error"},
  });
}

TEST(KernelErrors, FiltersAreCheckedUnderGradients) {
  const auto loss = [](const std::vector<mx::array>& in) {
    return mx::sum(depthwise_conv_3x3(in[0], in[1]));
  };
  const auto x = mx::zeros({2, 5, 7, 4});
  EXPECT_EQ(
      message_of([&] {
        mx::grad(loss, {0, 1})({x, mx::zeros({4, 4, 4})});
      }),
      "depthwise_conv_3x3: w: expected an array with 9 rows, got shape (4, 4, "
      "4)");
}

} // namespace
} // namespace zmlx::kernels
