#include <csignal>
#include <cstdio>
#include <new>
#include <sstream>

#include <fcntl.h>
#include <unistd.h>

#include <mlx/version.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "zmlx/base/errors.h"
#include "zmlx/base/settings.h"
#include "zmlx/base/text.h"
#include "zmlx/nn/logits.h"

namespace zmlx::cli {

namespace {

int report(const char* message, int code) {
  // Where stderr is gone too, the exit code is what is left.
  std::fputs(fmt::format("zmlx: {}\n", message).c_str(), stderr);
  return code;
}

int run(const std::function<int()>& command) {
  try {
    return command();
  } catch (const nn::LogitsError& error) {
    return report(error.what(), exit_failed);
  } catch (const UserError& error) {
    return report(error.what(), exit_usage);
  } catch (const EnvironmentError& error) {
    return report(error.what(), exit_environment);
  } catch (const Interrupted& error) {
    return report(error.what(), exit_interrupted);
  } catch (const std::bad_alloc&) {
    return report("out of memory", exit_environment);
  } catch (const std::exception& error) {
    const auto message = fmt::format(
        "internal error: {}\nThis is a bug of zmlx; please report it with the "
        "command that led to it.",
        error.what());
    return report(message.c_str(), exit_environment);
  }
}

std::vector<std::string> names_of_commands() {
  std::vector<std::string> names;
  for (auto& command : commands()) {
    names.push_back(command.name);
  }
  return names;
}

// CLI11 says only that an argument was not expected.
void refuse_unknown_command(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') {
    return;
  }
  const auto names = names_of_commands();
  if (std::find(names.begin(), names.end(), argv[1]) == names.end()) {
    throw user_error(
        "unknown command \"{}\"; known: {}.{}",
        argv[1],
        fmt::join(names, ", "),
        did_you_mean(argv[1], names));
  }
}

int parse_and_run(int argc, char** argv) {
  refuse_unknown_command(argc, argv);
  CLI::App app("Fused kernels and patched decoding on MLX.", "zmlx");
  app.set_version_flag(
      "--version",
      fmt::format("zmlx {} (MLX {})", ZMLX_VERSION, mlx::core::version()));
  if (argc < 2) {
    throw user_error(
        "expected a command: {}. `zmlx --help` says more.",
        fmt::join(names_of_commands(), ", "));
  }
  app.require_subcommand(1);
  std::function<int()> chosen;
  for (auto& command : commands()) {
    auto* sub = app.add_subcommand(command.name, command.summary);
    auto body = command.add(*sub);
    sub->callback([&chosen, body] { chosen = body; });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) { // --help and --version
    std::ostringstream text;
    app.exit(success, text, text);
    write(stdout, text.str());
    return exit_ok;
  } catch (const CLI::ParseError& error) {
    throw user_error("{}", describe(error, app));
  }
  return chosen();
}

// Else the first file that is opened takes the number of a closed stream, and
// what is printed goes into it. Each is opened the wrong way round, so that
// using it fails.
void open_standard_streams() {
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) == -1) {
      open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
  }
}

} // namespace

} // namespace zmlx::cli

int main(int argc, char** argv) {
  // A reader that goes away is an error of writing, not the end by a signal.
  std::signal(SIGPIPE, SIG_IGN);
  zmlx::cli::open_standard_streams();
  zmlx::cli::end_on_interrupt();
  return zmlx::cli::run([&] {
    // A wrong setting is refused before any work, whichever part would read it.
    zmlx::settings();
    return zmlx::cli::parse_and_run(argc, argv);
  });
}
