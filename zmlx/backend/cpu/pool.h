#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "zmlx/export.h"

namespace zmlx::backend::cpu {

/// The project's threads: started once, one a core (settings: ZMLX_THREADS),
/// the caller is part 0. Workers spin briefly for the next job, then sleep.
class ZMLX_API Pool {
 public:
  static Pool& shared();

  explicit Pool(int threads);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const;

  /// Calls job(part, parts) on every thread and returns when all are done.
  /// Callers from several threads take turns; a call from within a job is an
  /// InternalError. Does not allocate. job must not throw.
  void run(void (*job)(void* context, int part, int parts), void* context);

  template <typename Job>
  void run(Job&& job) {
    run(
        [](void* context, int part, int parts) {
          (*static_cast<std::remove_reference_t<Job>*>(context))(part, parts);
        },
        &job);
  }

  /// Within a job: waits until every part has come here.
  void barrier();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace zmlx::backend::cpu
