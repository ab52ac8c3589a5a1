#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <mlx/mlx.h>

namespace mx = mlx::core;

namespace {

std::string error_in_another_thread(const std::function<void()>& work) {
  std::string message;
  std::thread([&] {
    try {
      work();
    } catch (const std::exception& e) {
      message = e.what();
    }
  }).join();
  return message;
}

TEST(MlxFacts, AStreamBelongsToItsThread) {
  auto lazy = mx::add(mx::ones({4}), mx::ones({4}));
  auto message = error_in_another_thread([&] { mx::eval(lazy); });
  EXPECT_NE(message.find("There is no Stream("), std::string::npos) << message;
}

TEST(MlxFacts, WhatIsEvaluatedIsUsedInAnyThread) {
  auto done = mx::add(mx::ones({4}), mx::ones({4}));
  mx::eval(done);
  float total = 0;
  EXPECT_EQ(
      error_in_another_thread([&] { total = mx::sum(done).item<float>(); }),
      "");
  EXPECT_EQ(total, 8);
}

TEST(MlxFacts, AThreadUnsafeStreamIsUsedInAnyThread) {
  auto stream = mx::new_thread_unsafe_stream(mx::Device::cpu);
  auto lazy = mx::add(mx::ones({4}, stream), mx::ones({4}, stream), stream);
  EXPECT_EQ(error_in_another_thread([&] { mx::eval(lazy); }), "");
  EXPECT_EQ(lazy.data<float>()[3], 2.0f);
}

} // namespace
