#pragma once

#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "zmlx/base/settings.h"
#include "zmlx/export.h"

namespace zmlx {

/// Messages to the person at the terminal, on stderr, one line each:
/// "zmlx: warning: ...". What a program answers goes to stdout, never here.
/// Levels below settings().log_level are not formatted.

ZMLX_API bool log_enabled(LogLevel level);
/// Writes one message whole, whatever other threads write.
ZMLX_API void write_log(LogLevel level, std::string_view message);

template <typename... Args>
void log_debug(fmt::format_string<Args...> text, Args&&... args) {
  if (log_enabled(LogLevel::debug)) {
    write_log(LogLevel::debug, fmt::format(text, std::forward<Args>(args)...));
  }
}

template <typename... Args>
void log_info(fmt::format_string<Args...> text, Args&&... args) {
  if (log_enabled(LogLevel::info)) {
    write_log(LogLevel::info, fmt::format(text, std::forward<Args>(args)...));
  }
}

template <typename... Args>
void log_warn(fmt::format_string<Args...> text, Args&&... args) {
  if (log_enabled(LogLevel::warn)) {
    write_log(LogLevel::warn, fmt::format(text, std::forward<Args>(args)...));
  }
}

template <typename... Args>
void log_error(fmt::format_string<Args...> text, Args&&... args) {
  if (log_enabled(LogLevel::error)) {
    write_log(LogLevel::error, fmt::format(text, std::forward<Args>(args)...));
  }
}

} // namespace zmlx
