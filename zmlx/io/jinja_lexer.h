#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace zmlx::io {

/// A piece of a Jinja template.
struct JinjaPart {
  enum class Kind {
    text, // written as it is
    output, // {{ ... }}
    statement, // {% ... %}
  };
  Kind kind;
  /// The text; or what stands between the braces, as tokens: names and
  /// operators as they are, string literals decoded with a quotation mark
  /// before them.
  std::vector<std::string> tokens;
  size_t offset; // in the template, bytes
};

/// Splits a template the way Jinja2 does with trim_blocks and lstrip_blocks:
/// white space control applied, comments left out, one newline at the very end
/// dropped. UserError naming `source` and the offset when a brace, a string or
/// a character is wrong.
std::vector<JinjaPart> split_jinja(
    std::string_view text,
    const std::string& source);

} // namespace zmlx::io
