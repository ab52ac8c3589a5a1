#include "cli/interrupt.h"

#include <csignal>
#include <cstdlib>

#include "cli/command.h"

namespace zmlx::cli {

namespace {

std::atomic<bool> flag = false;
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_interrupt(int) {
  if (flag.exchange(true)) {
    std::_Exit(exit_interrupted);
  }
}

} // namespace

void catch_interrupts() {
  std::signal(SIGINT, on_interrupt);
}

const std::atomic<bool>& interrupted() {
  return flag;
}

void check_interrupted() {
  if (flag) {
    throw Interrupted();
  }
}

} // namespace zmlx::cli
