#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "zmlx/io/regex.h"

namespace zmlx::io {

/// What happens to text before it is split: steps, each on the result of the
/// one before. Text is valid UTF-8 before and after.
struct Normalizer {
  enum class Form { nfc, nfd, nfkc, nfkd };
  struct Lowercase {};
  /// Puts `text` before a text that is not empty.
  struct Prepend {
    std::string text;
  };
  /// Each match becomes `content`, taken literally.
  struct Replace {
    Pattern pattern;
    std::string content;
  };
  /// Takes white space away at the ends.
  struct Strip {
    bool left;
    bool right;
  };
  using Step = std::variant<Form, Lowercase, Prepend, Replace, Strip>;

  std::vector<Step> steps;

  std::string operator()(std::string_view text) const;
};

} // namespace zmlx::io
