#include "cli/output.h"

#include <cerrno>
#include <cstring>

#include "zmlx/base/errors.h"

namespace zmlx::cli {

void write(std::FILE* file, std::string_view text) {
  const size_t written = std::fwrite(text.data(), 1, text.size(), file);
  if (written != text.size() || std::fflush(file) != 0) {
    throw environment_error("cannot write output: {}", std::strerror(errno));
  }
}

} // namespace zmlx::cli
