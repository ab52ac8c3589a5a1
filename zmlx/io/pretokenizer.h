#pragma once

#include <functional>
#include <string_view>
#include <variant>
#include <vector>

#include "zmlx/export.h"
#include "zmlx/io/regex.h"

namespace zmlx::io {

/// The regular expression of GPT-2, which Hugging Face's ByteLevel applies.
inline constexpr std::string_view gpt2_words =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Splits a text into the words within which tokens are merged: steps, each on
/// every piece that the one before made. A step sees nothing of the pieces
/// beside its own. Empty pieces vanish.
struct ZMLX_API PreTokenizer {
  /// What becomes of the text that a Split's pattern matched.
  enum class Behavior {
    removed,
    isolated, // a piece of its own
    merged_with_previous,
    merged_with_next,
    contiguous, // a piece together with the matches that touch it
  };
  struct Split {
    Pattern pattern;
    Behavior behavior;
    bool invert = false; // what did not match counts as matched
  };
  /// Decimal, letter and other numbers (categories Nd, Nl, No).
  struct Digits {
    bool individual; // each a piece of its own; otherwise a run of them
  };
  /// A space before each piece that does not start with one.
  struct PrefixSpace {};
  using Step = std::variant<Split, Digits, PrefixSpace>;

  std::vector<Step> steps;
  /// The words' bytes, not their characters, are what the model merges.
  bool byte_level = false;

  /// Appends the steps of Hugging Face's ByteLevel.
  void add_byte_level(bool add_prefix_space, bool use_regex);

  /// Calls `visit` with each word in turn; a word lives during its call only.
  void split(
      std::string_view text,
      const std::function<void(std::string_view word)>& visit) const;
};

} // namespace zmlx::io
