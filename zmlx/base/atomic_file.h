#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "zmlx/export.h"

namespace zmlx {

/// Makes `path` (and what is missing above it) as a directory that only we may
/// enter, mode 0700, or checks one that is there. EnvironmentError where it
/// cannot be made, is no directory, is a link, belongs to another user or can
/// be written by others: what it holds would not be ours.
ZMLX_API void make_private_directory(const std::filesystem::path& path);

/// settings().cache_dir / name, made private; name may be "".
ZMLX_API std::filesystem::path private_cache_directory(std::string_view name);

/// Replaces the file by `content`, whole or not at all: a temporary beside it,
/// fsync, rename, fsync of the directory. `mode` as of open(2).
/// EnvironmentError, naming the file and the cause, where that fails or where
/// there is something else than a regular file; the old file is then as it was
/// and the temporary is gone.
ZMLX_API void write_file_atomically(
    const std::filesystem::path& path,
    std::string_view content,
    unsigned mode = 0644);

/// The bytes of a file. EnvironmentError, naming it, where it cannot be read.
ZMLX_API std::string read_file(const std::filesystem::path& path);

} // namespace zmlx
