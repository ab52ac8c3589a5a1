#include <csignal>
#include <cstdio>
#include <new>

#include <mlx/version.h>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "zmlx/base/errors.h"
#include "zmlx/base/text.h"

namespace zmlx::cli {

namespace {

int report(const char* message, int code) {
  // The reader of stdout may be gone; stderr is what is left to try.
  fmt::print(stderr, "zmlx: {}\n", message);
  return code;
}

int run(const std::function<int()>& command) {
  try {
    return command();
  } catch (const UserError& error) {
    return report(error.what(), exit_usage);
  } catch (const EnvironmentError& error) {
    return report(error.what(), exit_environment);
  } catch (const Interrupted& error) {
    return report(error.what(), exit_interrupted);
  } catch (const std::bad_alloc&) {
    return report("out of memory", exit_environment);
  } catch (const std::exception& error) {
    fmt::print(
        stderr,
        "zmlx: internal error: {}\nThis is a bug of zmlx; please report it "
        "with the command that led to it.\n",
        error.what());
    return exit_environment;
  }
}

// CLI11 says only that an argument was not expected.
void refuse_unknown_command(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') {
    return;
  }
  std::vector<std::string> names;
  for (auto& command : commands()) {
    names.push_back(command.name);
  }
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
  app.require_subcommand(1);
  std::function<int()> chosen;
  for (auto& command : commands()) {
    auto* sub = app.add_subcommand(command.name, command.summary);
    auto body = command.add(*sub);
    sub->callback([&chosen, body] { chosen = body; });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_ok : exit_usage;
  }
  return chosen();
}

} // namespace

} // namespace zmlx::cli

int main(int argc, char** argv) {
  // A reader that goes away is an error of writing, not the end by a signal.
  std::signal(SIGPIPE, SIG_IGN);
  return zmlx::cli::run([&] { return zmlx::cli::parse_and_run(argc, argv); });
}
