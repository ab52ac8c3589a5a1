#include "zmlx/backend/cpu/pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "zmlx/backend/cpu/attendance.h"
#include "zmlx/base/errors.h"

namespace zmlx::backend::cpu {
namespace {

class PoolOf : public testing::TestWithParam<int> {};

// A busy machine may leave threads out at any time, so tests take the number
// of shares as it comes.
TEST_P(PoolOf, RunsEveryPartOnce) {
  Pool pool(GetParam());
  ASSERT_EQ(pool.threads(), GetParam());
  for (int round = 0; round < 200; ++round) {
    std::vector<int> calls(GetParam());
    std::atomic<int> shares{0};
    pool.run([&](int part, int parts) {
      ++calls[part];
      shares = parts;
    });
    std::vector<int> want(GetParam());
    std::fill_n(want.begin(), shares.load(), 1);
    EXPECT_EQ(calls, want);
  }
}

/// Each round writes plainly what the next one reads.
class Chain : public Work {
 public:
  explicit Chain(int threads) : value_(threads) {}

  void run(int round, int part, int parts) noexcept override {
    for (int other = 0; other < parts; ++other) {
      wrong_ += value_[other] != (round + other) * (round > 0);
    }
    wrong_ += done_ >= parts;
    next_[part] = round + 1 + part;
    parts_ = parts;
    ++done_;
  }
  void finish(int round) noexcept override {
    wrong_ += done_ != parts_ || round != finished_;
    done_ = 0;
    std::copy_n(next_, value_.size(), value_.begin());
    ++finished_;
  }
  void prefetch(int round, int, int) noexcept override {
    wrong_ += round == 0;
  }

  std::vector<int> value_;
  int next_[8] = {};
  std::atomic<int> wrong_{0}, done_{0}, parts_{0};
  int finished_ = 0;
};

TEST_P(PoolOf, RoundsFollowEachOther) {
  Pool pool(GetParam());
  for (int again = 0; again < 20; ++again) {
    Chain chain(GetParam());
    pool.run(chain, 100);
    EXPECT_EQ(chain.wrong_, 0);
    EXPECT_EQ(chain.finished_, 100);
  }
}

TEST_P(PoolOf, RunsNoRounds) {
  Pool pool(GetParam());
  Chain chain(GetParam());
  pool.run(chain, 0);
  EXPECT_EQ(chain.finished_, 0);
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
  EXPECT_GE(calls, 3);
  EXPECT_LE(calls, 3 * GetParam());
}

INSTANTIATE_TEST_SUITE_P(Threads, PoolOf, testing::Values(1, 2, 3, 7));

/// How many shares a round has now.
int shares_of(Pool& pool) {
  std::atomic<int> shares{0};
  pool.run([&](int, int parts) { shares = parts; });
  return shares;
}

/// Runs rounds until a worker has slept in its share, which is what a thread
/// looks like whose core was taken.
void hold_up(Pool& pool) {
  const auto caller = std::this_thread::get_id();
  std::atomic<bool> slept{false};
  while (!slept) {
    pool.run([&](int, int) {
      const bool worker = std::this_thread::get_id() != caller;
      std::this_thread::sleep_for(std::chrono::milliseconds(worker ? 50 : 1));
      slept = slept || worker;
    });
  }
}

TEST(Pool, LeavesOutAThreadThatHeldTheOthersUp) {
  Pool pool(2);
  do { // again where this thread itself was away for longer than the pause
    hold_up(pool);
  } while (shares_of(pool) != 1);
  while (shares_of(pool) == 1) { // until it is back
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

TEST(Attendance, LeavesOutWhoHadNoCore) {
  using std::chrono::microseconds;
  struct Case {
    int thread, waited, had_core;
    bool out;
  };
  for (const auto& c : std::vector<Case>{
           {1, 1000, 0, true},
           {1, 1000, 499, true},
           {1, 1000, 500, false}, // it had more to do
           {1, 299, 0, false}, // not long
           {0, 1000, 0, false}}) { // the caller always takes part
    Attendance attendance(2);
    const bool out = attendance.waited_for(
        c.thread, microseconds(c.waited), microseconds(c.had_core), {});
    EXPECT_EQ(out, c.out);
    EXPECT_EQ(attendance.takes_part(c.thread), !c.out);
    EXPECT_EQ(attendance.any_away(), c.out);
  }
}

TEST(Attendance, PausesDoubleWhereAThreadIsLateAgainSoon) {
  using std::chrono::milliseconds;
  Attendance attendance(3);
  Attendance::Clock::time_point now{};
  for (int pause : {10, 20, 40, 80, 160, 160}) {
    EXPECT_TRUE(attendance.waited_for(2, milliseconds(3), {}, now));
    EXPECT_FALSE(attendance.take_back(now + milliseconds(pause - 1)));
    EXPECT_TRUE(attendance.take_back(now + milliseconds(pause)));
    EXPECT_TRUE(attendance.takes_part(2));
    now += milliseconds(pause + 1);
  }
  now += milliseconds(60);
  EXPECT_TRUE(attendance.waited_for(2, milliseconds(3), {}, now));
  EXPECT_TRUE(attendance.take_back(now + milliseconds(10)));
}

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
  EXPECT_GE(refused, 1);
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
    _exit(calls >= 1 && calls <= 3 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

} // namespace
} // namespace zmlx::backend::cpu
