#include "zmlx/backend/cpu/pool.h"

#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include <hwy/cache_control.h>
#include <pthread.h>

#include "zmlx/base/errors.h"
#include "zmlx/base/settings.h"

namespace zmlx::backend::cpu {
namespace {

// What a thread may wait for the next job before it sleeps: longer than what
// a decode loop does between two steps, shorter than a scheduler's slice.
constexpr auto kSpinTime = std::chrono::microseconds(50);
// About 0.2 ms: who yields while others want the core loses it for a whole
// slice, which is longer than any launch of a decode step.
constexpr int kPausesBeforeYield = 4000;

// A child of fork has none of the threads; a pool older than this count must
// start its threads again.
std::atomic<unsigned> fork_count{0};

void watch_forks() {
  static const int watched =
      pthread_atfork(nullptr, nullptr, [] { fork_count.fetch_add(1); });
  static_cast<void>(watched);
}

// Spins, giving the core away when the wait gets long: the thread waited for
// may need it.
template <typename Done>
void spin_until(Done done) {
  for (int pauses = 0; !done(); ++pauses) {
    if (pauses < kPausesBeforeYield) {
      hwy::Pause();
    } else {
      std::this_thread::yield();
    }
  }
}

} // namespace

struct Pool::Impl {
  explicit Impl(int count) : parts(count), born(fork_count.load()) {
    workers.reserve(count - 1);
    for (int part = 1; part < count; ++part) {
      workers.emplace_back([this, part] { work(part); });
    }
  }

  ~Impl() {
    stop = true;
    generation.fetch_add(1, std::memory_order_release);
    generation.notify_all();
    for (auto& worker : workers) {
      worker.join();
    }
  }

  void work(int part) {
    current = this;
    for (uint32_t seen = 0;;) {
      seen = wait_for_job(seen);
      if (stop) {
        return;
      }
      job(context, part, parts);
      running.fetch_sub(1, std::memory_order_release);
    }
  }

  // The number of the next job. No job is missed: run() waits for all.
  uint32_t wait_for_job(uint32_t seen) {
    const auto give_up = std::chrono::steady_clock::now() + kSpinTime;
    for (int pauses = 1;; ++pauses) {
      uint32_t now = generation.load(std::memory_order_acquire);
      if (now != seen) {
        return now;
      }
      hwy::Pause();
      if (pauses % 16 == 0 && std::chrono::steady_clock::now() > give_up) {
        break;
      }
    }
    generation.wait(seen, std::memory_order_acquire);
    return generation.load(std::memory_order_acquire);
  }

  static thread_local const Impl* current;

  const int parts;
  const unsigned born;
  std::mutex turn;
  std::vector<std::thread> workers;

  // Written before `generation` moves, read after.
  void (*job)(void*, int, int) = nullptr;
  void* context = nullptr;
  bool stop = false;

  alignas(64) std::atomic<uint32_t> generation{0};
  alignas(64) std::atomic<int> running{0};
  alignas(64) std::atomic<int> arrived{0};
  alignas(64) std::atomic<uint32_t> phase{0};
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
  return impl_->parts;
}

void Pool::run(void (*job)(void*, int, int), void* context) {
  if (impl_->born != fork_count.load(std::memory_order_relaxed)) {
    // The only thread of a forked child; what the old threads held stays held.
    impl_.reset(new Impl(impl_.release()->parts));
  }
  Impl& impl = *impl_;
  if (Impl::current == &impl) {
    throw internal_error("Pool::run: called from within a job of this pool");
  }
  std::lock_guard lock(impl.turn);
  const Impl* outer = std::exchange(Impl::current, &impl);
  if (impl.parts > 1) {
    impl.job = job;
    impl.context = context;
    impl.running.store(impl.parts - 1, std::memory_order_relaxed);
    impl.generation.fetch_add(1, std::memory_order_release);
    impl.generation.notify_all();
  }
  job(context, 0, impl.parts);
  spin_until([&] { return impl.running.load(std::memory_order_acquire) == 0; });
  Impl::current = outer;
}

void Pool::barrier() {
  Impl& impl = *impl_;
  // Before the last one arrives nobody can move the phase.
  const uint32_t phase = impl.phase.load(std::memory_order_relaxed);
  if (impl.arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == impl.parts) {
    impl.arrived.store(0, std::memory_order_relaxed);
    impl.phase.store(phase + 1, std::memory_order_release);
    return;
  }
  spin_until(
      [&] { return impl.phase.load(std::memory_order_acquire) != phase; });
}

} // namespace zmlx::backend::cpu
