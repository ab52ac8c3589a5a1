#include "zmlx/backend/cpu/pool.h"

#include <atomic>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"

namespace zmlx::backend::cpu {
namespace {

class PoolOf : public testing::TestWithParam<int> {};

TEST_P(PoolOf, RunsEveryPartOnce) {
  Pool pool(GetParam());
  ASSERT_EQ(pool.threads(), GetParam());
  std::vector<int> calls(GetParam());
  for (int round = 0; round < 200; ++round) {
    pool.run([&](int part, int parts) {
      EXPECT_EQ(parts, GetParam());
      ++calls[part];
    });
  }
  EXPECT_EQ(calls, std::vector<int>(GetParam(), 200));
}

TEST_P(PoolOf, BarrierOrdersPhases) {
  Pool pool(GetParam());
  const int rounds = 300;
  std::vector<int> value(GetParam());
  std::atomic<int> wrong{0};
  pool.run([&](int part, int parts) {
    for (int round = 1; round <= rounds; ++round) {
      value[part] = round; // plain writes: the barrier must order them
      pool.barrier();
      wrong += value[(part + 1) % parts] != round;
      pool.barrier();
    }
  });
  EXPECT_EQ(wrong, 0);
}

TEST_P(PoolOf, CallersTakeTurns) {
  Pool pool(GetParam());
  int total = 0; // guarded by the turns alone
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 3; ++caller) {
    callers.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        pool.run([&](int part, int) {
          if (part == 0) {
            ++total;
          }
        });
      }
    });
  }
  for (auto& caller : callers) {
    caller.join();
  }
  EXPECT_EQ(total, 150);
}

TEST_P(PoolOf, WakesSleepingThreads) {
  Pool pool(GetParam());
  std::atomic<int> calls{0};
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    pool.run([&](int, int) { ++calls; });
  }
  EXPECT_EQ(calls, 3 * GetParam());
}

INSTANTIATE_TEST_SUITE_P(Threads, PoolOf, testing::Values(1, 2, 3, 7));

TEST(Pool, RefusesACallFromItsOwnJob) {
  Pool pool(2);
  std::atomic<int> refused{0};
  pool.run([&](int, int) {
    try {
      pool.run([](int, int) {});
    } catch (const InternalError&) {
      ++refused;
    }
  });
  EXPECT_EQ(refused, 2);
}

TEST(Pool, RefusesNoThreads) {
  EXPECT_THROW(Pool(0), InternalError);
}

TEST(Pool, WorksInAForkedChild) {
  Pool pool(3);
  pool.run([](int, int) {});
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::atomic<int> calls{0};
    pool.run([&](int, int) { ++calls; });
    _exit(calls == 3 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

} // namespace
} // namespace zmlx::backend::cpu
