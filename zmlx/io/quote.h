#pragma once

#include <string>
#include <string_view>

#include "zmlx/export.h"

namespace zmlx::io {

/// Text from a file, made fit for a message: in single quotes, bytes outside
/// printable ASCII as \xNN, cut after 80 bytes.
ZMLX_API std::string quote(std::string_view text);

} // namespace zmlx::io
