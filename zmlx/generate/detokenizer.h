#pragma once

#include <string>

#include "zmlx/export.h"
#include "zmlx/io/tokenizer.h"

namespace zmlx::generate {

/// Text of tokens as they come. All that add and flush return, put together, is
/// what Tokenizer::decode says of all tokens; every piece is valid UTF-8, so a
/// character is held back until its last byte is there.
///
///   Detokenizer text(tokenizer);
///   for (int token : tokens) {
///     std::cout << text.add(token) << std::flush;
///   }
///   std::cout << text.flush();
class ZMLX_API Detokenizer {
 public:
  explicit Detokenizer(io::Tokenizer tokenizer, bool skip_special = true);

  /// What is new and complete; may be empty.
  std::string add(int token);

  /// What is left: U+FFFD when the last character is incomplete, otherwise
  /// nothing. The next add starts a new text.
  std::string flush();

 private:
  std::string emit(size_t complete);

  io::Tokenizer tokenizer_;
  bool skip_special_;
  int spaces_to_drop_;
  std::string pending_; // bytes that no text has been made of
};

} // namespace zmlx::generate
