#include "cli/arguments.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "zmlx/base/text.h"

namespace zmlx::cli {

namespace {

template <typename T>
bool parse(const std::string& text, T& value) {
  const auto* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && rest == end;
}

const CLI::App& chosen(const CLI::App& app) {
  const auto subcommands = app.get_subcommands();
  return subcommands.empty() ? app : *subcommands.front();
}

std::vector<std::string> flags_of(const CLI::App& app) {
  std::vector<std::string> flags;
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) {
      flags.push_back("--" + name);
    }
    for (const auto& name : option->get_snames()) {
      flags.push_back("-" + name);
    }
  }
  return flags;
}

std::string unexpected(const std::string& argument, const CLI::App& app) {
  if (argument.front() != '-') {
    return fmt::format("unexpected argument \"{}\"", argument);
  }
  const auto flag = argument.substr(0, argument.find('='));
  const bool is_long = flag.size() > 2;
  return fmt::format(
      "unknown flag \"{}\".{}",
      flag,
      is_long ? did_you_mean(flag, flags_of(app)) : "");
}

// CLI11 says "--prompt: 1 required TEXT missing" and "--prompt: At Most 1
// required but received 2".
std::string wrong_count(const std::string& message) {
  const auto name = message.substr(0, message.find(':'));
  const std::string received = "received ";
  if (const auto at = message.find(received); at != message.npos) {
    return fmt::format(
        "{} is given {} times, expected once",
        name,
        message.substr(at + received.size()));
  }
  return fmt::format("{}: expected a value after it", name);
}

std::string cause(const CLI::ParseError& error, const CLI::App& app) {
  // A misspelt flag is named before what is missing because of it.
  const auto extra = app.remaining(true);
  const auto flag = std::find_if(extra.begin(), extra.end(), [](auto& text) {
    return text.size() > 1 && text.front() == '-' && text != "--";
  });
  if (flag != extra.end()) {
    return unexpected(*flag, chosen(app));
  }
  if (dynamic_cast<const CLI::ExtrasError*>(&error) && !extra.empty()) {
    return unexpected(extra.front(), chosen(app));
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error)) {
    return wrong_count(error.what());
  }
  return error.what();
}

} // namespace

CLI::Validator whole_number(uint64_t least, uint64_t most) {
  auto check = [least, most](std::string& text) {
    uint64_t value = 0;
    if (parse(text, value) && value >= least && value <= most) {
      text = std::to_string(value);
      return std::string();
    }
    return fmt::format(
        "expected a whole number from {} to {}, got \"{}\"", least, most, text);
  };
  return {check, "", "whole number"};
}

CLI::Validator number() {
  auto check = [](std::string& text) {
    double value = 0;
    return parse(text, value) && std::isfinite(value)
        ? std::string()
        : fmt::format("expected a number, got \"{}\"", text);
  };
  return {check, "", "number"};
}

CLI::Validator one_of(std::vector<std::string> names) {
  auto check = [names](std::string& text) {
    return std::find(names.begin(), names.end(), text) != names.end()
        ? std::string()
        : fmt::format(
              "expected {}, got \"{}\".{}",
              fmt::join(names, " or "),
              text,
              did_you_mean(text, names));
  };
  return {check, "", "one of"};
}

std::string describe(const CLI::ParseError& error, const CLI::App& app) {
  auto text = cause(error, app);
  if (text.back() != '.' && text.back() != '?') {
    text += '.';
  }
  const auto& command = chosen(app);
  if (&command == &app) {
    return fmt::format("{} `zmlx --help` says more.", text);
  }
  return fmt::format(
      "{0}: {1} `zmlx {0} --help` says more.", command.get_name(), text);
}

} // namespace zmlx::cli
