#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "zmlx/io/regex.h"

namespace zmlx::io {

/// A token that is found in the text itself, before anything else is done with
/// the text: `<|im_start|>` and the like.
struct AddedToken {
  int id = 0;
  std::string content;
  bool special = false; // left out by decode(skip_special)
  bool normalized = false; // looked for in the normalized text
  bool lstrip = false; // takes the white space before it along
  bool rstrip = false; // takes the white space after it along
  bool single_word = false; // not between or beside letters
};

/// Finds added tokens: from left to right, the longest one that starts at a
/// place, none overlapping.
class AddedTokens {
 public:
  /// Longest content in bytes; what limits the work a byte of text.
  static constexpr size_t max_content = 1024;

  struct Piece {
    Span span;
    int id; // of an added token; -1 for text between them
  };

  /// `content` is what is looked for (the normalized content, perhaps); at most
  /// max_content bytes, not empty.
  void add(const AddedToken& token, std::string_view content);

  bool empty() const {
    return tokens_.empty();
  }

  /// The whole text as added tokens and the text between them.
  std::vector<Piece> split(std::string_view text) const;

 private:
  struct Node {
    std::map<char, uint32_t> next;
    int token = -1; // index into tokens_
  };

  /// The longest token at `at`: its index and end, or -1.
  std::pair<int, size_t> longest(std::string_view text, size_t at) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_{1};
};

} // namespace zmlx::io
