#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include <gtest/gtest.h>
#include <mlx/mlx.h>

namespace mx = mlx::core;

namespace {

// MLX's CPU allocator keeps the size in the 8 bytes before the data, and a
// Buffer points at them: memory of ours needs room for them.
TEST(MlxFacts, ABufferPointsEightBytesBeforeItsData) {
  auto owner = mx::allocator::malloc(1000);
  auto buffer = owner.buffer();
  EXPECT_EQ(
      static_cast<char*>(buffer.raw_ptr()) - static_cast<char*>(buffer.ptr()),
      8);
  EXPECT_EQ(
      *static_cast<std::size_t*>(buffer.ptr()),
      mx::allocator::allocator().size(buffer));
}

TEST(MlxFacts, MemoryOfOursBecomesAnArrayAndIsGivenBack) {
  constexpr std::size_t line = 64, n = 1000;
  auto memory = static_cast<char*>(
      std::aligned_alloc(line, line + n * sizeof(float) + 32));
  auto data = reinterpret_cast<float*>(memory + line);
  *reinterpret_cast<std::size_t*>(memory + line - 8) = n * sizeof(float);
  for (std::size_t i = 0; i < n; ++i) {
    data[i] = static_cast<float>(i);
  }
  int freed = 0;
  {
    mx::array a(
        mx::array::Data(
            mx::allocator::Buffer(memory + line - 8),
            [&](mx::allocator::Buffer buffer) {
              EXPECT_EQ(buffer.ptr(), memory + line - 8);
              ++freed;
            }),
        {n},
        mx::float32);
    EXPECT_EQ(a.data<float>(), data);
    EXPECT_EQ(a.buffer_size(), n * sizeof(float));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a.data<float>()) % line, 0u);
    // A view keeps the memory, whoever made it.
    auto view = mx::slice(a, {10}, {20});
    a = mx::array(0.0f);
    EXPECT_EQ(mx::sum(view).item<float>(), 145.0f);
    EXPECT_EQ(freed, 0);
  }
  mx::synchronize();
  EXPECT_EQ(freed, 1);
  std::free(memory);
}

TEST(MlxFacts, SliceUpdateAtAnArrayWritesThere) {
  auto cache = mx::zeros({1, 2, 8, 4});
  auto row = mx::ones({1, 2, 1, 4});
  for (int at : {0, 3, 7}) {
    auto updated = mx::slice_update(cache, row, mx::array({at}), {2});
    auto expected = mx::slice_update(
        cache, row, mx::Shape{0, 0, at, 0}, mx::Shape{1, 2, at + 1, 4});
    EXPECT_TRUE(mx::array_equal(updated, expected).item<bool>()) << at;
  }
}

// The start is not checked: past the end of its axis it writes what lies
// behind, here the next row, and at the end of a cache foreign memory. So
// positions are checked by us.
TEST(MlxFacts, SliceUpdatePastTheEndWritesWhatLiesBehind) {
  auto updated = mx::slice_update(
      mx::zeros({2, 4}), mx::ones({1, 1}), mx::array({4}), {1});
  EXPECT_EQ(updated.shape(), (mx::Shape{2, 4}));
  auto expected =
      mx::array({0.0f, 0.0f, 0.0f, 0.0f, 1.0f, 0.0f, 0.0f, 0.0f}, {2, 4});
  EXPECT_TRUE(mx::array_equal(updated, expected).item<bool>());
}

TEST(MlxFacts, ANanIsTheLargestWhereverItStands) {
  for (auto type : {mx::float32, mx::float16, mx::bfloat16}) {
    for (int size : {5, 1000, 49152}) {
      for (int place : {0, size / 2, size - 1}) {
        auto nan = mx::full({1}, std::nanf(""), type);
        auto x = mx::slice_update(
            mx::zeros({size}, type),
            nan,
            mx::Shape{place},
            mx::Shape{place + 1});
        EXPECT_EQ(mx::argmax(x).item<uint32_t>(), uint32_t(place));
        EXPECT_TRUE(
            std::isnan(mx::astype(mx::max(x), mx::float32).item<float>()));
      }
    }
  }
}

TEST(MlxFacts, AMaskedNanIsStillNan) {
  auto q = mx::ones({1, 1, 1, 8});
  auto keys = mx::ones({1, 1, 4, 8});
  auto values = mx::slice_update(
      mx::ones({1, 1, 4, 8}),
      mx::full({1, 1, 1, 8}, std::nanf("")),
      mx::Shape{0, 0, 3, 0},
      mx::Shape{1, 1, 4, 8});
  auto mask = mx::reshape(mx::array({true, true, true, false}), {1, 1, 1, 4});
  auto y =
      mx::fast::scaled_dot_product_attention(q, keys, values, 1.0f, "", mask);
  EXPECT_TRUE(mx::any(mx::isnan(y)).item<bool>());
}

} // namespace
