#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "zmlx/export.h"
#include "zmlx/io/gguf.h"

namespace zmlx::io {

struct TokenizerParts;

/// Text to token ids and back, as Hugging Face's `tokenizers` does it for byte
/// pair encoding. Immutable: any number of threads may use one; copies share
/// their data.
///
/// Errors are UserErrors that name the file or metadata key, what was found and
/// what was expected; parts of a tokenizer.json that are not understood are
/// refused, never skipped.
class ZMLX_API Tokenizer {
 public:
  /// A folder with tokenizer.json, and eos and bos from generation_config.json,
  /// config.json or tokenizer_config.json, in this order; or a tokenizer.json
  /// itself; or a .gguf file.
  static Tokenizer load(const std::filesystem::path& path);

  /// The text of a tokenizer.json; `source` is what errors call it. It does not
  /// say which tokens end a text.
  static Tokenizer from_json(std::string_view json, const std::string& source);

  /// tokenizer.ggml.model "gpt2" with the pre-tokenizers smollm, gpt-2,
  /// default (taken for gpt-2), llama-bpe and qwen2. Added tokens that end
  /// turns of published chat templates, such as <|im_end|>, end a text too.
  static Tokenizer from_gguf(const GgufMetadata& metadata);

  /// Ids of a text. Added tokens in it (`<|im_start|>`) are recognised.
  /// `add_special` puts the tokens around it that the model wants (BOS).
  /// UserError with the offset of the first byte when `text` is not UTF-8.
  std::vector<int> encode(std::string_view text, bool add_special) const;

  /// The text of ids: the bytes of all tokens, with U+FFFD for what is not
  /// UTF-8. Ids that have no token (a model's padding of its vocabulary) stand
  /// for nothing.
  std::string decode(std::span<const int> ids, bool skip_special) const;

  /// What a token adds to a text, which may be part of a character; of an added
  /// token its content. Empty for ids without a token. Lives as long as the
  /// tokenizer.
  std::string_view token_bytes(int id) const;

  /// Spaces at the very start of a decoded text that are not part of it
  /// (tokenizers that put one before each text when encoding); mostly 0.
  int leading_spaces_dropped() const;

  /// The id of a token as the vocabulary spells it ("Ġthe", "<|im_end|>").
  std::optional<int> id_of(std::string_view token) const;

  bool is_special(int id) const;

  /// One more than the largest id.
  int vocab_size() const;

  /// The ids that end a text; may be empty.
  const std::vector<int>& eos_ids() const;

  /// The id that texts start with, where the model has one. encode puts it
  /// there only if the model's files say so.
  std::optional<int> bos_id() const;

 private:
  friend class TokenizerBuilder;
  explicit Tokenizer(std::shared_ptr<const TokenizerParts> parts);

  std::shared_ptr<const TokenizerParts> parts_;
};

} // namespace zmlx::io
