#include "cli/command.h"

#include <algorithm>

namespace zmlx::cli {

namespace {

// A function's static: registrations run before main, in any order.
std::vector<Command>& registered() {
  static std::vector<Command> all;
  return all;
}

} // namespace

CommandRegistration::CommandRegistration(Command command) {
  registered().push_back(std::move(command));
}

std::vector<Command> commands() {
  auto all = registered();
  std::sort(
      all.begin(), all.end(), [](auto& a, auto& b) { return a.name < b.name; });
  return all;
}

} // namespace zmlx::cli
