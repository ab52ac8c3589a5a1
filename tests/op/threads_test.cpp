// One kernel used by several threads at once, each with its own stream.

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <thread>

#include "tests/op/support.h"
#include "zmlx/op/elementwise.h"
#include "zmlx/op/executables.h"

namespace zmlx::op {

namespace {

using namespace test;
using Arrays = std::vector<mx::array>;

constexpr int kThreads = 6;

/// Calls work(thread) on all threads at once; the threads begin together.
template <typename Work>
void on_threads(Work work) {
  std::barrier begin(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const auto stream = mx::new_stream(mx::Device::cpu);
      mx::StreamContext here(stream);
      begin.arrive_and_wait();
      work(t);
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
}

mx::array ramp(int thread) {
  return mx::add(mx::arange(0, 300, 1, mx::float32), mx::array(float(thread)));
}

TEST(Threads, FindTheGradientOfOneKernelTogether) {
  for (int round = 0; round < 10; ++round) {
    // New in each round, so that every thread may be the first.
    const auto k =
        elementwise("x * x * a + " + std::to_string(round), {.scalars = {"a"}});
    std::atomic<int> wrong = 0;
    on_threads([&](int thread) {
      const auto x = ramp(thread);
      auto slope =
          mx::grad([&](const mx::array& in) { return mx::sum(k(in, 0.5)); })(x);
      slope.eval();
      wrong += values(slope) != values(x);
    });
    EXPECT_EQ(wrong, 0);
  }
}

TEST(Threads, MakeAnExecutableOnceAndGetOneAnswer) {
  for (int round = 0; round < 10; ++round) {
    const auto text = "x * 2 + " + std::to_string(100 + round);
    const auto before = executable_counts();
    std::atomic<int> wrong = 0;
    on_threads([&](int thread) {
      const auto k = elementwise(text); // equal, and a call of its own
      auto y = k(ramp(thread));
      y.eval();
      const auto got = values(y);
      for (int i = 0; i < 300; ++i) {
        wrong += got[i] != 2 * (i + thread) + 100 + round;
      }
    });
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(executable_counts().misses, before.misses + 1);
  }
}

TEST(Threads, TakeSecondGradientsAndManyShapesOfOneKernel) {
  const auto k = elementwise("softmax(x * a)", {.scalars = {"a"}});
  const auto second = [&](const mx::array& x) {
    const auto first = [&](const mx::array& in) {
      return mx::sum(mx::square(mx::grad([&](const mx::array& y) {
        return mx::sum(mx::square(k(y, 0.25)));
      })(in)));
    };
    return mx::grad(first)(x);
  };
  std::vector<std::vector<double>> want;
  const auto at = [](int n) {
    return mx::reshape(
        mx::sin(mx::arange(0, 12 * (n + 1), 1, mx::float32)), {4, 3 * (n + 1)});
  };
  for (int n = 0; n < 8; ++n) {
    want.push_back(values(second(at(n))));
  }
  std::atomic<int> wrong = 0;
  on_threads([&](int thread) {
    for (int n = 0; n < 24; ++n) {
      const int which = (n + thread) % 8;
      wrong += values(second(at(which))) != want[which];
    }
  });
  EXPECT_EQ(wrong, 0);
}

} // namespace

} // namespace zmlx::op
