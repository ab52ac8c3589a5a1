#include "zmlx/base/settings.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include <pwd.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "zmlx/base/errors.h"

namespace zmlx {
namespace {

std::optional<std::string> process_environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? std::optional<std::string>(value) : std::nullopt;
}

// An empty variable counts as unset, as the XDG specification has it.
std::optional<std::string> non_empty(const Environment& env, const char* name) {
  auto value = env(name);
  return value && !value->empty() ? value : std::nullopt;
}

std::filesystem::path home_dir(const Environment& env) {
  if (auto home = non_empty(env, "HOME")) {
    return *home;
  }
  const passwd* entry = getpwuid(getuid());
  return entry && entry->pw_dir ? entry->pw_dir : "/";
}

std::filesystem::path read_cache_dir(const Environment& env) {
  auto xdg = non_empty(env, "XDG_CACHE_HOME");
  // The XDG specification has relative paths ignored.
  if (xdg && std::filesystem::path(*xdg).is_absolute()) {
    return std::filesystem::path(*xdg) / "zmlx";
  }
  return home_dir(env) / ".cache" / "zmlx";
}

int read_threads(const Environment& env) {
  auto text = non_empty(env, "ZMLX_THREADS");
  if (!text) {
    return available_cpus();
  }
  int threads = 0;
  auto [end, error] =
      std::from_chars(text->data(), text->data() + text->size(), threads);
  if (error != std::errc() || end != text->data() + text->size() ||
      threads < 1 || threads > 1024) {
    throw user_error(
        "ZMLX_THREADS: expected a whole number from 1 to 1024, got '{}'",
        *text);
  }
  return threads;
}

LogLevel read_log_level(const Environment& env) {
  auto text = non_empty(env, "ZMLX_LOG");
  if (!text) {
    return LogLevel::warn;
  }
  constexpr std::pair<const char*, LogLevel> levels[] = {
      {"debug", LogLevel::debug},
      {"info", LogLevel::info},
      {"warn", LogLevel::warn},
      {"error", LogLevel::error},
      {"off", LogLevel::off}};
  for (const auto& [name, level] : levels) {
    if (*text == name) {
      return level;
    }
  }
  throw user_error(
      "ZMLX_LOG: expected debug, info, warn, error or off, got '{}'", *text);
}

ColorMode read_color(const Environment& env) {
  if (non_empty(env, "NO_COLOR")) {
    return ColorMode::never;
  }
  auto force = non_empty(env, "CLICOLOR_FORCE");
  if (force && *force != "0") {
    return ColorMode::always;
  }
  return env("TERM") == "dumb" ? ColorMode::never : ColorMode::automatic;
}

} // namespace

Settings read_settings(const Environment& env) {
  return {
      read_cache_dir(env),
      read_threads(env),
      read_log_level(env),
      read_color(env)};
}

const Settings& settings() {
  static const Settings read = read_settings(process_environment);
  return read;
}

bool is_terminal(std::FILE* file) {
  return isatty(fileno(file)) == 1;
}

bool use_color(std::FILE* file) {
  switch (settings().color) {
    case ColorMode::always:
      return true;
    case ColorMode::never:
      return false;
    case ColorMode::automatic:
      break;
  }
  return is_terminal(file);
}

std::optional<int> terminal_width(std::FILE* file) {
  winsize size{};
  if (!is_terminal(file) || ioctl(fileno(file), TIOCGWINSZ, &size) != 0 ||
      size.ws_col == 0) {
    return std::nullopt;
  }
  return size.ws_col;
}

int available_cpus() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    return std::max(1, CPU_COUNT(&set));
  }
  return std::max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
}

} // namespace zmlx
