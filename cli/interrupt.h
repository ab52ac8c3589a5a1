#pragma once

#include <atomic>
#include <exception>

namespace zmlx::cli {

/// Thrown where work stops because of Ctrl-C; the program exits with 130.
class Interrupted : public std::exception {
 public:
  const char* what() const noexcept override {
    return "interrupted";
  }
};

/// From now on Ctrl-C ends the process at once, with 130. A process that was
/// started with the signal ignored goes on ignoring it, here and below.
void end_on_interrupt();

/// From now on the first Ctrl-C only sets interrupted(), so that a command can
/// stop between two steps; a second one ends the process at once, with 130.
void catch_interrupts();

/// Set by Ctrl-C; never reset.
const std::atomic<bool>& interrupted();

/// Throws Interrupted after a Ctrl-C.
void check_interrupted();

} // namespace zmlx::cli
