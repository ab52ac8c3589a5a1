#include "zmlx/io/quote.h"

#include <fmt/format.h>

namespace zmlx::io {

std::string quote(std::string_view text) {
  constexpr size_t limit = 80;
  std::string out = "'";
  for (unsigned char c : text.substr(0, limit)) {
    if (c >= 0x20 && c < 0x7f) {
      out += static_cast<char>(c);
    } else {
      out += fmt::format("\\x{:02x}", c);
    }
  }
  return out + (text.size() > limit ? "...'" : "'");
}

} // namespace zmlx::io
