#include "zmlx/base/log.h"

#include <cstdio>

namespace zmlx {
namespace {

struct Style {
  const char* label;
  const char* color; // ANSI
};

Style style_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return {"debug", "\033[2m"};
    case LogLevel::info:
      return {"info", "\033[36m"};
    case LogLevel::warn:
      return {"warning", "\033[33m"};
    case LogLevel::error:
    case LogLevel::off:
      break;
  }
  return {"error", "\033[31m"};
}

} // namespace

bool log_enabled(LogLevel level) {
  return level >= settings().log_level && level != LogLevel::off;
}

void write_log(LogLevel level, std::string_view message) {
  auto style = style_of(level);
  bool color = use_color(stderr);
  auto line = fmt::format(
      "zmlx: {}{}{}: {}\n",
      color ? style.color : "",
      style.label,
      color ? "\033[0m" : "",
      message);
  // One call, so that lines of two threads do not mix: stdio locks the stream.
  std::fwrite(line.data(), 1, line.size(), stderr);
}

} // namespace zmlx
