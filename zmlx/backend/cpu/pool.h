#pragma once

#include <memory>
#include <type_traits>

#include "zmlx/export.h"

namespace zmlx::backend::cpu {

/// What the threads of a pool do together: rounds, each cut into shares. The
/// next round begins when all shares of a round are done.
class Work {
 public:
  virtual ~Work() = default;
  /// Does one share of a round. Shares of a round are run in any order, each
  /// once, by any thread; they must not wait for each other and must not throw.
  virtual void run(int round, int part, int parts) noexcept = 0;
  /// Called by the thread that was done last, before the next round begins.
  virtual void finish(int /*round*/) noexcept {}
  /// A hint: this thread, done with its share of the round before, will most
  /// likely run this share.
  virtual void prefetch(int /*round*/, int /*part*/, int /*parts*/) noexcept {}
};

/// The project's threads: started once, as many as settings().threads, the
/// caller among them. Built for machines that do other things too. A share
/// that nobody has begun is taken by who is done; who waits longer than about
/// 50 us sleeps; and a thread that kept the others waiting because the system
/// gave its core to something else is left out for a while.
class ZMLX_API Pool {
 public:
  static Pool& shared();

  explicit Pool(int threads);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const;

  /// Runs the rounds and returns when all are done. Rounds have as many shares
  /// as threads take part: `threads()`, fewer on a busy machine. Callers from
  /// several threads take turns; a call from within a share is an
  /// InternalError. Does not allocate.
  void run(Work& work, int rounds);

  /// One round: job(part, parts) for every part.
  template <typename Job>
  requires std::is_invocable_v<Job&, int, int>
  void run(Job&& job) {
    struct OneRound : Work {
      explicit OneRound(std::remove_reference_t<Job>& job) : job(job) {}
      void run(int, int part, int parts) noexcept override {
        job(part, parts);
      }
      std::remove_reference_t<Job>& job;
    } work(job);
    run(work, 1);
  }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace zmlx::backend::cpu
