#pragma once

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <string>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "zmlx/base/errors.h"

/// What someone may say to a benchmark, and how one ends.
namespace zmlx::benchmarks {

/// An option and where its value goes: a flag that is set, a whole number from
/// one, or a text.
struct Option {
  std::string name; // "--rounds"
  std::variant<bool*, int64_t*, std::string*> value;
  std::string shown = {}; // of the value: "N"
};

/// Whether argv[i] is this option with the value it wants; takes both.
inline bool takes(const Option& option, int argc, char** argv, int& i) {
  if (argv[i] != option.name) {
    return false;
  }
  if (auto* const* flag = std::get_if<bool*>(&option.value)) {
    return **flag = true;
  }
  if (i + 1 == argc) {
    return false;
  }
  if (auto* const* text = std::get_if<std::string*>(&option.value)) {
    **text = argv[++i];
    return true;
  }
  const int64_t number = std::atoll(argv[i + 1]);
  if (number < 1) {
    return false;
  }
  *std::get<int64_t*>(option.value) = number;
  ++i;
  return true;
}

/// UserError for what is none of these options, or lacks its value.
inline void parse(
    const std::string& program,
    const std::vector<Option>& options,
    int argc,
    char** argv) {
  std::string expected;
  for (const Option& option : options) {
    expected += (expected.empty() ? "" : ", ") + option.name +
        (option.shown.empty() ? "" : " " + option.shown);
  }
  for (int i = 1; i < argc; ++i) {
    bool taken = false;
    for (size_t k = 0; k < options.size() && !taken; ++k) {
      taken = takes(options[k], argc, argv, i);
    }
    if (!taken) {
      throw user_error(
          "{}: unknown '{}'; expected {}", program, argv[i], expected);
    }
  }
}

/// What main returns: 0, and with the message of an error 2 where the user can
/// mend it, else 3.
template <typename Run>
int exit_code_of(Run run) {
  try {
    run();
    return 0;
  } catch (const UserError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 3;
  }
}

} // namespace zmlx::benchmarks
