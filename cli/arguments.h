#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

/// What users type, checked with messages that say what was expected.
namespace zmlx::cli {

/// For Option::transform: a decimal whole number from `least` to `most`. It is
/// passed on without leading zeros, which CLI11 would take for octal.
CLI::Validator whole_number(uint64_t least, uint64_t most);

/// For Option::check: a finite number.
CLI::Validator number();

/// For Option::check: one of the names.
CLI::Validator one_of(std::vector<std::string> names);

/// One line for a command line that CLI11 refused: the command, the argument,
/// what was expected, and the nearest flag for one that does not exist.
std::string describe(const CLI::ParseError& error, const CLI::App& app);

} // namespace zmlx::cli
