// A second device of the kind "CPU", as the test peer has it.

#include <gtest/gtest.h>
#include <mlx/mlx.h>

namespace mx = mlx::core;

namespace {

const mx::Device kSecond(mx::Device::cpu, 1);

TEST(MlxFacts, AStreamOfASecondCpuRunsOnTheCpuInOrder) {
  const auto stream = mx::new_stream(kSecond);
  EXPECT_EQ(stream.device, kSecond);
  auto x = mx::ones({64, 64}, stream);
  for (int i = 0; i < 20; ++i) {
    x = mx::divide(
        mx::matmul(x, mx::ones({64, 64}, stream), stream),
        mx::array(64.0f),
        stream);
  }
  x.eval();
  EXPECT_EQ(x.data<float>()[5], 1.0f);
}

TEST(MlxFacts, StreamsOfTwoCpusWaitForEachOther) {
  const auto stream = mx::new_stream(kSecond);
  auto x = mx::add(mx::ones({4}, stream), mx::ones({4}), stream);
  auto y = mx::multiply(x, x, mx::default_stream(mx::Device::cpu));
  y.eval();
  EXPECT_EQ(y.data<float>()[3], 4.0f);
}

// So its streams must be made and named.
TEST(MlxFacts, ASecondCpuHasNoDefaultStream) {
  EXPECT_FALSE(mx::is_available(kSecond));
  EXPECT_THROW(mx::default_stream(kSecond), std::out_of_range);
  EXPECT_THROW(
      mx::set_default_stream(mx::new_stream(kSecond)), std::out_of_range);
}

TEST(MlxFacts, WithASecondCpuForDefaultDeviceOperationsThrow) {
  const auto before = mx::default_device();
  mx::set_default_device(kSecond);
  EXPECT_THROW(mx::ones({4}), std::out_of_range);
  mx::set_default_device(before);
}

} // namespace
