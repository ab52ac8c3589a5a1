#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "zmlx/export.h"

/// UTF-8 and the few character classes that tokenizers ask for.
namespace zmlx::io {

/// What stands at one place of a text.
struct Utf8Step {
  char32_t code = U'\uFFFD'; // U+FFFD when invalid
  /// Bytes taken: of the character, or of the longest start of a character
  /// when invalid (at least 1), which is what one U+FFFD stands for.
  int length = 1;
  bool valid = false;
  /// Invalid only because the text ends: more bytes could make it a character.
  bool truncated = false;
};

/// `at` must lie inside `text`. Surrogates, overlong forms and values above
/// U+10FFFF are invalid.
ZMLX_API Utf8Step decode_utf8(std::string_view text, size_t at);

/// Offset of the first byte that is not part of valid UTF-8; npos when all is.
ZMLX_API size_t find_invalid_utf8(std::string_view text);

/// Appends the character; `code` must be a Unicode scalar value.
ZMLX_API void append_utf8(std::string& text, char32_t code);

/// The text with U+FFFD for each piece that is not UTF-8.
ZMLX_API std::string replace_invalid_utf8(std::string_view text);

/// The property White_Space: what HF's `\s` and Rust's is_whitespace take.
bool is_white_space(char32_t code);

/// General categories Nd, Nl and No: Rust's char::is_numeric.
bool is_numeric(char32_t code);

/// `\w` of Rust's regex: letters, marks, decimal and letter numbers, connecting
/// punctuation, alphabetic symbols, and the two joiners.
bool is_word(char32_t code);

/// Unicode normalisation in time linear in the text but for the sorting of
/// combining marks, which is n log n. `compose`: NFC and NFKC, otherwise NFD
/// and NFKD; `compatibility`: the K. The text must be valid UTF-8.
std::string
normalize_utf8(std::string_view text, bool compose, bool compatibility);

/// Each character's own lower case, without regard to its neighbours.
std::string lowercase_utf8(std::string_view text);

} // namespace zmlx::io
