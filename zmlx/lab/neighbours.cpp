#include "zmlx/lab/neighbours.h"

#include <cerrno>
#include <csignal>
#include <cstring>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "zmlx/base/errors.h"

namespace zmlx::lab {

namespace {

// Nothing of the library may run here: the child has one thread of many.
[[noreturn]] void keep_busy(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  volatile unsigned turns = 0;
  while (getppid() == parent) { // it may be gone before prctl
    for (int i = 0; i < 1'000'000; ++i) {
      turns = turns + 1;
    }
  }
  _exit(0);
}

} // namespace

Neighbours::Neighbours(int count) {
  const pid_t parent = getpid();
  for (int i = 0; i < count; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      keep_busy(parent);
    }
    if (child < 0) {
      const int error = errno;
      end();
      throw environment_error(
          "cannot start a process that keeps a core busy: {}",
          std::strerror(error));
    }
    processes_.push_back(child);
  }
}

Neighbours::~Neighbours() {
  end();
}

void Neighbours::end() {
  for (const pid_t process : processes_) {
    kill(process, SIGKILL);
  }
  for (const pid_t process : processes_) {
    waitpid(process, nullptr, 0);
  }
}

} // namespace zmlx::lab
