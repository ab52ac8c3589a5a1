#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace zmlx::io {

/// GPT-2's spelling of bytes as printable characters, in which the vocabulary
/// of a byte-level tokenizer is written: 0x20 is "Ġ", 0x41 is "A".
const std::string& byte_level_spelling(unsigned char byte);

std::string to_byte_level(std::string_view bytes);

/// The bytes that `spelling` stands for; nothing when a character of it is no
/// spelling of a byte.
std::optional<std::string> from_byte_level(std::string_view spelling);

} // namespace zmlx::io
