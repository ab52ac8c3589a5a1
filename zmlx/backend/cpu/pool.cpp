#include "zmlx/backend/cpu/pool.h"

#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <hwy/cache_control.h>
#include <pthread.h>
#include <time.h>

#include "zmlx/backend/cpu/attendance.h"
#include "zmlx/base/errors.h"
#include "zmlx/base/settings.h"

namespace zmlx::backend::cpu {
namespace {

using Clock = Attendance::Clock;
using std::chrono::microseconds;

// What a thread may spin before it sleeps: longer than what a decode loop does
// between two steps and than threads with equal shares differ, much shorter
// than a scheduler's slice. The core of a thread that sleeps is free for one
// that was sent away in the middle of its share.
constexpr auto kSpinTime = microseconds(50);
// About 1 us: only a thread that is not there begins its share so late. To look
// earlier takes cache lines from those that are at work.
constexpr int kPausesBeforeTaking = 25;

// A child of fork has none of the threads; a pool older than this count must
// start its threads again.
std::atomic<unsigned> fork_count{0};

void watch_forks() {
  static const int watched =
      pthread_atfork(nullptr, nullptr, [] { fork_count.fetch_add(1); });
  static_cast<void>(watched);
}

/// Spins until `done`, at most for kSpinTime. Whether it was done.
template <typename Done>
bool spin(Done done) {
  std::optional<Clock::time_point> give_up;
  for (int pauses = 1; !done(); ++pauses) {
    if (pauses % 16 == 0) {
      const auto now = Clock::now();
      if (!give_up) {
        give_up = now + kSpinTime;
      } else if (now > *give_up) {
        return done();
      }
    }
    hwy::Pause();
  }
  return true;
}

/// The time that a thread has had a core so far.
Clock::duration core_time(pthread_t thread) {
  clockid_t clock = 0;
  timespec time{};
  if (pthread_getcpuclockid(thread, &clock) != 0 ||
      clock_gettime(clock, &time) != 0) {
    return {};
  }
  return std::chrono::seconds(time.tv_sec) +
      std::chrono::nanoseconds(time.tv_nsec);
}

} // namespace

// All rounds that a pool ever runs are numbered: `round` is the one under way.
// A thread that the system sends away may come back in the middle of any later
// one. So it touches a job only while it holds a share, which it has claimed
// for the number that it saw: until that share is done, neither its round nor
// its job can end.
struct Pool::Impl {
  explicit Impl(int count)
      : threads(count),
        born(fork_count.load()),
        seats(count),
        attendance(count),
        core_times(count) {
    deal_out();
    workers.reserve(count - 1);
    for (int thread = 1; thread < count; ++thread) {
      workers.emplace_back([this, thread] { work(thread); });
    }
  }

  ~Impl() {
    stop.store(true, std::memory_order_relaxed);
    generation.fetch_add(2, std::memory_order_release);
    generation.notify_all();
    for (auto& worker : workers) {
      worker.join();
    }
  }

  struct Job {
    Work* work = nullptr;
    uint64_t first = 0; // round
    uint64_t rounds = 0;
    int parts = 0;
    int part = -1; // of the thread that asks; -1: it takes no part
  };

  /// What one thread writes lies apart from what others write.
  struct alignas(64) Seat {
    std::atomic<uint64_t> claimed{0}; // the last round whose share was taken
    std::atomic<int> part{-1}; // the share of the thread of this number
  };

  void work(int thread) {
    current = this;
    for (uint32_t seen = 0;;) {
      seen = wait_for_job(seen);
      if (stop.load(std::memory_order_relaxed)) {
        return;
      }
      const auto job = read_job(thread, seen);
      if (job && job->part >= 0) {
        take_part(*job, thread);
      }
    }
  }

  /// The number of the next job, or of a later one.
  uint32_t wait_for_job(uint32_t seen) {
    uint32_t now = seen;
    spin([&] {
      now = generation.load(std::memory_order_acquire);
      return now != seen;
    });
    if (now == seen) {
      generation.wait(seen, std::memory_order_acquire);
      now = generation.load(std::memory_order_acquire);
    }
    return now;
  }

  // An odd generation says that the job is being written; what was read while
  // it changed is not used.
  std::optional<Job> read_job(int thread, uint32_t seen) {
    Job job;
    job.work = work_.load(std::memory_order_acquire);
    job.first = first.load(std::memory_order_acquire);
    job.rounds = rounds.load(std::memory_order_acquire);
    job.parts = parts.load(std::memory_order_acquire);
    job.part = seats[thread].part.load(std::memory_order_acquire);
    if (seen % 2 != 0 || generation.load(std::memory_order_relaxed) != seen) {
      return std::nullopt;
    }
    return job;
  }

  void publish(Work& work, int count) {
    generation.fetch_add(1, std::memory_order_relaxed);
    if (attendance.any_away() && attendance.take_back(Clock::now())) {
      changed = true;
    }
    if (std::exchange(changed, false)) {
      deal_out();
    }
    work_.store(&work, std::memory_order_release);
    first.store(
        round.load(std::memory_order_relaxed), std::memory_order_release);
    rounds.store(count, std::memory_order_release);
    generation.fetch_add(1, std::memory_order_release);
    generation.notify_all();
  }

  /// Gives each thread that takes part a share.
  void deal_out() {
    int part = 0;
    for (int thread = 0; thread < threads; ++thread) {
      const bool there = attendance.takes_part(thread);
      seats[thread].part.store(there ? part++ : -1, std::memory_order_release);
    }
    parts.store(part, std::memory_order_release);
  }

  /// Works on the job until its last round is over.
  void take_part(const Job& job, int thread) {
    while (true) {
      const uint64_t now = round.load(std::memory_order_acquire);
      if (now - job.first >= job.rounds) { // over, or long over
        return;
      }
      do_share(job, now, job.part, thread);
      wait_for_end_of(job, now, thread);
    }
  }

  /// Does the share unless somebody else has begun it.
  void do_share(const Job& job, uint64_t now, int part, int thread) {
    auto& claimed = seats[part].claimed;
    uint64_t last = claimed.load(std::memory_order_relaxed);
    if (last >= now ||
        !claimed.compare_exchange_strong(
            last, now, std::memory_order_acq_rel)) {
      return;
    }
    const int number = static_cast<int>(now - job.first);
    job.work->run(number, part, job.parts);
    if (part == job.part && now + 1 - job.first < job.rounds) {
      job.work->prefetch(number + 1, part, job.parts);
    }
    if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == job.parts) {
      job.work->finish(number);
      arrived.store(0, std::memory_order_relaxed);
      ended_by.store(thread, std::memory_order_relaxed);
      round.store(now + 1, std::memory_order_seq_cst);
      wake_sleepers();
    }
  }

  void wait_for_end_of(const Job& job, uint64_t now, int thread) {
    const auto over = [&] {
      return round.load(std::memory_order_acquire) != now;
    };
    for (int pauses = 0; pauses < kPausesBeforeTaking; ++pauses) {
      if (over()) {
        return;
      }
      hwy::Pause();
    }
    for (int part = 0; part < job.parts; ++part) {
      do_share(job, now, part, thread);
    }
    if (spin(over)) {
      return;
    }
    if (thread == 0) {
      sleep_and_watch(now);
    } else {
      sleep(now);
    }
  }

  /// Until the round is over.
  void sleep(uint64_t now) {
    sleepers.fetch_add(1, std::memory_order_seq_cst);
    while (round.load(std::memory_order_seq_cst) == now) {
      const uint32_t rung = bell.load(std::memory_order_seq_cst);
      if (round.load(std::memory_order_seq_cst) == now) {
        bell.wait(rung, std::memory_order_seq_cst);
      }
    }
    sleepers.fetch_sub(1, std::memory_order_relaxed);
  }

  void wake_sleepers() {
    if (sleepers.load(std::memory_order_seq_cst) > 0) {
      bell.fetch_add(1, std::memory_order_seq_cst);
      bell.notify_all();
    }
  }

  // The caller alone judges who took too long.
  void sleep_and_watch(uint64_t now) {
    for (int thread = 1; thread < threads; ++thread) {
      core_times[thread] = core_time_of(thread);
    }
    const auto begin = Clock::now();
    sleep(now);
    const auto end = Clock::now();
    const int late = ended_by.load(std::memory_order_relaxed);
    if (late > 0) {
      const auto had_core = core_time_of(late) - core_times[late];
      changed |= attendance.waited_for(late, end - begin, had_core, end);
    }
  }

  Clock::duration core_time_of(int thread) {
    return core_time(workers[thread - 1].native_handle());
  }

  static thread_local const Impl* current;

  const int threads;
  const unsigned born;
  std::mutex turn;
  std::vector<std::thread> workers;
  std::vector<Seat> seats;

  // Used by the caller alone.
  Attendance attendance;
  bool changed = false; // who takes part
  std::vector<Clock::duration> core_times;

  // The job: changed while `generation` is odd.
  alignas(64) std::atomic<uint32_t> generation{0};
  std::atomic<Work*> work_{nullptr};
  std::atomic<uint64_t> first{1}, rounds{0};
  std::atomic<int> parts{0};
  std::atomic<bool> stop{false};

  alignas(64) std::atomic<uint64_t> round{1};
  std::atomic<int> ended_by{0}; // the thread that was last in the round before
  alignas(64) std::atomic<int> arrived{0}; // shares of the round that are done
  alignas(64) std::atomic<int> sleepers{0};
  std::atomic<uint32_t> bell{0};
};

thread_local const Pool::Impl* Pool::Impl::current = nullptr;

Pool& Pool::shared() {
  // Never destroyed: threads of the program may still run when it exits.
  static Pool* pool = new Pool(settings().threads);
  return *pool;
}

Pool::Pool(int threads) {
  if (threads < 1) {
    throw internal_error("Pool: expected at least 1 thread, got {}", threads);
  }
  watch_forks();
  impl_ = std::make_unique<Impl>(threads);
}

Pool::~Pool() {
  if (impl_->born != fork_count.load()) {
    impl_.release(); // threads of the parent cannot be joined
  }
}

int Pool::threads() const {
  return impl_->threads;
}

void Pool::run(Work& work, int rounds) {
  if (impl_->born != fork_count.load(std::memory_order_relaxed)) {
    // The only thread of a forked child; what the old threads held stays held.
    impl_.reset(new Impl(impl_.release()->threads));
  }
  Impl& impl = *impl_;
  if (Impl::current == &impl) {
    throw internal_error("Pool::run: called from within a share of this pool");
  }
  if (rounds <= 0) {
    return;
  }
  std::lock_guard lock(impl.turn);
  const Impl* outer = std::exchange(Impl::current, &impl);
  impl.publish(work, rounds);
  const auto job =
      impl.read_job(0, impl.generation.load(std::memory_order_relaxed));
  impl.take_part(*job, 0);
  Impl::current = outer;
}

} // namespace zmlx::backend::cpu
