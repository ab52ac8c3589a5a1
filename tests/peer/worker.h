#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>

namespace zmlx::test_peer {

/// The thread in which all of the peer's work is done, in the order in which
/// it is posted.
class Worker {
 public:
  /// The one of this process; never destroyed.
  static Worker& shared();

  /// Gives the mark to wait for. The task throws nothing.
  uint64_t post(std::function<void()> task);
  /// Returns when all tasks up to this mark have been run.
  void wait(uint64_t mark);

 private:
  Worker();
  [[noreturn]] void run();

  std::mutex mutex_;
  std::condition_variable posted_, done_;
  std::deque<std::function<void()>> tasks_;
  uint64_t last_posted_ = 0;
  uint64_t last_done_ = 0;
};

} // namespace zmlx::test_peer
