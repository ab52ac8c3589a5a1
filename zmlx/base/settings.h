#pragma once

#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "zmlx/export.h"

namespace zmlx {

enum class LogLevel { debug, info, warn, error, off };

enum class ColorMode { automatic, always, never };

/// What the environment says, read once. Nothing else in the project reads an
/// environment variable.
struct Settings {
  /// Where we keep what can be made again: $XDG_CACHE_HOME/zmlx, else
  /// ~/.cache/zmlx. Not made by reading it: see atomic_file.h.
  std::filesystem::path cache_dir;
  /// Threads of our pool: ZMLX_THREADS, 1 to 1024, else the CPUs that this
  /// process may run on.
  int threads = 1;
  /// The least level written to stderr: ZMLX_LOG, one of debug, info, warn,
  /// error, off.
  LogLevel log_level = LogLevel::warn;
  /// NO_COLOR (not empty) never, CLICOLOR_FORCE (not empty, not 0) always, a
  /// TERM of "dumb" never, else where the output is a terminal.
  ColorMode color = ColorMode::automatic;
};

/// Reads one variable; nothing where it is unset.
using Environment = std::function<std::optional<std::string>(const char* name)>;

/// UserError, naming the variable, for a value that cannot be.
ZMLX_API Settings read_settings(const Environment& environment);

/// The settings of this process. The first call reads the environment.
ZMLX_API const Settings& settings();

/// Whether text written to `file` may carry colours.
ZMLX_API bool use_color(std::FILE* file);

/// Whether a person watches `file`.
ZMLX_API bool is_terminal(std::FILE* file);

/// Columns of the terminal behind `file`; nothing where it is no terminal.
ZMLX_API std::optional<int> terminal_width(std::FILE* file);

/// CPUs that this process may run on, at least 1.
ZMLX_API int available_cpus();

} // namespace zmlx
