#pragma once

#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

/// The program `zmlx`. A subcommand is one file with one static
/// CommandRegistration; main.cpp does the rest.
namespace zmlx::cli {

/// What the program exits with.
enum Exit {
  exit_ok = 0,
  exit_failed = 1, // what was to be checked does not hold
  exit_usage = 2, // the user's mistake
  exit_environment = 3, // the machine's, or ours
  exit_interrupted = 130, // Ctrl-C, as shells have it
};

struct Command {
  std::string name; // "generate"
  std::string summary; // one line for --help
  /// Adds options to `app` and returns what runs once they are parsed; that
  /// returns an Exit, or throws one of the project's errors.
  std::function<std::function<int()>(CLI::App& app)> add;
};

class CommandRegistration {
 public:
  explicit CommandRegistration(Command command);
};

/// Sorted by name.
std::vector<Command> commands();

} // namespace zmlx::cli
