#pragma once

#include <vector>

#include <sys/types.h>

#include "zmlx/export.h"

namespace zmlx::lab {

/// Processes that do nothing but keep a core busy, while an object of this
/// class lives: a machine that does other things too.
class ZMLX_API Neighbours {
 public:
  /// EnvironmentError where the system gives no more processes.
  explicit Neighbours(int count);
  ~Neighbours();
  Neighbours(const Neighbours&) = delete;
  Neighbours& operator=(const Neighbours&) = delete;

 private:
  void end();
  std::vector<pid_t> processes_;
};

} // namespace zmlx::lab
