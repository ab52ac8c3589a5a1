#include "cli/interrupt.h"

#include <csignal>
#include <cstdlib>

#include "cli/command.h"

namespace zmlx::cli {

namespace {

std::atomic<bool> flag = false;
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void end(int) {
  std::_Exit(exit_interrupted);
}

extern "C" void set_flag_or_end(int) {
  if (flag.exchange(true)) {
    std::_Exit(exit_interrupted);
  }
}

void handle_interrupt(void (*handler)(int)) {
  // A shell starts what it puts into the background with Ctrl-C ignored.
  if (std::signal(SIGINT, handler) == SIG_IGN) {
    std::signal(SIGINT, SIG_IGN);
  }
}

} // namespace

void end_on_interrupt() {
  handle_interrupt(end);
}

void catch_interrupts() {
  handle_interrupt(set_flag_or_end);
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
