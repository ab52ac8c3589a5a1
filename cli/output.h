#pragma once

#include <cstdio>
#include <string_view>

namespace zmlx::cli {

/// Writes all of `text` and flushes. EnvironmentError when that fails (a full
/// disk, a reader that went away).
void write(std::FILE* file, std::string_view text);

} // namespace zmlx::cli
