#include "zmlx/base/other_load.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace zmlx {
namespace {

constexpr auto stat = R"(cpu  900 90 90 9000 90 9 9 9 0 0
cpu0 100 20 30 4000 50 1 2 3 70 0
cpu1 200 0 10 3000 5 0 0 40 0 0
cpu10 1 1 1 1 1 1 1 1 0 0
intr 5 6 7
)";

TEST(BusySeconds, AreAllButIdleAndWaiting) {
  const std::vector<int> both{0, 1}, first{0}, tenth{10};
  EXPECT_DOUBLE_EQ(*busy_seconds(stat, first, 0.01), 1.56);
  EXPECT_DOUBLE_EQ(*busy_seconds(stat, both, 0.01), 1.56 + 2.5);
  EXPECT_DOUBLE_EQ(*busy_seconds(stat, tenth, 1), 6);
}

TEST(BusySeconds, AreUnknownWhereACpuOrAFigureIsMissing) {
  const std::vector<int> none, missing{0, 2}, first{0};
  EXPECT_FALSE(busy_seconds(stat, none, 0.01));
  EXPECT_FALSE(busy_seconds(stat, missing, 0.01));
  EXPECT_FALSE(busy_seconds("", first, 0.01));
  EXPECT_FALSE(busy_seconds("cpu0 1 2 3\n", first, 0.01));
  EXPECT_FALSE(busy_seconds("cpu0 a b c d e f g h\n", first, 0.01));
}

TEST(OtherLoad, IsUnknownAtFirstAndThenWithinTheCpusThereAre) {
  OtherLoad load;
  EXPECT_FALSE(load.cpus());
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  if (const auto cpus = load.cpus()) { // not where /proc is not mounted
    EXPECT_GE(*cpus, 0);
    EXPECT_LE(*cpus, std::thread::hardware_concurrency() + 0.5);
  }
}

} // namespace
} // namespace zmlx
