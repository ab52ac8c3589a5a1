#pragma once

#include <chrono>
#include <vector>

namespace zmlx::backend::cpu {

/// Which of a pool's threads take part. A thread from which the system takes
/// its core in the middle of a share holds up all others for a slice of the
/// scheduler, some milliseconds. It is left out for 10 ms, and for twice as
/// long each time that this happens soon after it came back, up to 160 ms.
/// Used by one thread at a time. Thread 0 is the caller and always takes part.
class Attendance {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Attendance(int threads) : threads_(threads) {}

  /// True where a thread has come back, so that shares are dealt out anew.
  bool take_back(Clock::time_point now);
  bool any_away() const {
    return away_ > 0;
  }
  bool takes_part(int thread) const {
    return !threads_[thread].away;
  }
  /// Says how long the caller slept until `thread` ended a round, and for how
  /// much of that time the thread had a core. True where it is left out now:
  /// it had none for more than half of a long wait. One that had a core had
  /// more to do than the others.
  bool waited_for(
      int thread,
      Clock::duration waited,
      Clock::duration had_core,
      Clock::time_point now);

 private:
  struct Thread {
    bool away = false;
    Clock::time_point back; // when it comes back, or came back last
    Clock::duration pause{};
  };
  std::vector<Thread> threads_;
  int away_ = 0;
};

} // namespace zmlx::backend::cpu
