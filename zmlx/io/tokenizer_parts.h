#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "zmlx/io/added_tokens.h"
#include "zmlx/io/bpe.h"
#include "zmlx/io/normalizer.h"
#include "zmlx/io/pretokenizer.h"
#include "zmlx/io/tokenizer.h"

/// How tokenizer.json and GGUF metadata become a Tokenizer.
namespace zmlx::io {

/// What is read from a file; every id has been checked to be in
/// [0, max_token_id].
struct TokenizerSpec {
  struct Token {
    std::string text;
    int id;
  };

  std::string source; // what errors call the file
  std::vector<Token> vocabulary;
  std::vector<Bpe::Merge> merges;
  /// byte_level comes from the pre-tokenizer, `unknown` from unknown_token.
  Bpe::Options bpe;
  std::optional<std::string> unknown_token;
  std::vector<AddedToken> added;
  Normalizer normalizer;
  PreTokenizer pretokenizer;

  /// How tokens become bytes.
  bool byte_level_decoder = false; // otherwise tokens spell themselves, with
  std::vector<std::pair<std::string, std::string>> decoder_replacements;
  bool decoder_byte_fallback = false; // and <0x0A> a byte
  int leading_spaces_dropped = 0;

  std::vector<int> prefix; // around a text, with add_special
  std::vector<int> suffix;
  std::vector<int> eos;
  std::optional<int> bos;
};

/// Far above any vocabulary; keeps a wrong id from taking all memory.
inline constexpr int max_token_id = (1 << 24) - 1;

class TokenizerBuilder {
 public:
  static Tokenizer build(TokenizerSpec spec);
};

} // namespace zmlx::io
