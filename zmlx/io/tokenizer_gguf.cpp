#include <algorithm>

#include "zmlx/base/errors.h"
#include "zmlx/io/quote.h"
#include "zmlx/io/tokenizer_parts.h"

namespace zmlx::io {

namespace {

constexpr const char* source = "GGUF metadata";

// Kinds of tokens in tokenizer.ggml.token_type.
constexpr int64_t control_token = 3;
constexpr int64_t user_defined_token = 4;
constexpr int64_t last_token_type = 6;

// Tokens that end a turn in the chat templates of published models; files name
// one token that ends a text, which may be another.
constexpr std::string_view ends_of_turns[] = {
    "<|im_end|>",
    "<|eot_id|>",
    "<|end|>",
    "<end_of_turn>"};

/// How text is split for one value of tokenizer.ggml.pre.
struct Splitting {
  bool digits = false; // each digit apart, before anything else
  std::string_view words;
  bool nfc = false;
  bool ignore_merges = false;
  bool bos_by_default = false;
};

constexpr std::string_view llama3_words =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view qwen2_words =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

Splitting splitting(const std::string& pre) {
  if (pre == "smollm") {
    return {.digits = true, .words = gpt2_words};
  }
  if (pre == "gpt-2" || pre == "default") {
    return {.words = gpt2_words};
  }
  if (pre == "llama-bpe") {
    return {
        .words = llama3_words, .ignore_merges = true, .bos_by_default = true};
  }
  if (pre == "qwen2") {
    return {.words = qwen2_words, .nfc = true};
  }
  throw user_error(
      "GGUF metadata tokenizer.ggml.pre: the pre-tokenizer {} is not "
      "understood; known are smollm, gpt-2, default, llama-bpe, qwen2",
      quote(pre));
}

template <typename T>
const T& require(const GgufMetadata& metadata, const char* key) {
  if (auto* value = find_gguf<T>(metadata, key)) {
    return *value;
  }
  throw user_error("GGUF metadata {} is missing", key);
}

template <typename T>
T value_or(const GgufMetadata& metadata, const char* key, T fallback) {
  auto* value = find_gguf<T>(metadata, key);
  return value ? *value : fallback;
}

void read_tokens(const GgufMetadata& metadata, TokenizerSpec& spec) {
  using Strings = std::vector<std::string>;
  const auto& tokens = require<Strings>(metadata, "tokenizer.ggml.tokens");
  auto* types =
      find_gguf<std::vector<int64_t>>(metadata, "tokenizer.ggml.token_type");
  if (tokens.empty() || tokens.size() > max_token_id) {
    throw user_error(
        "GGUF metadata tokenizer.ggml.tokens: {} tokens, expected 1 to {}",
        tokens.size(),
        max_token_id);
  }
  if (types && types->size() != tokens.size()) {
    throw user_error(
        "GGUF metadata tokenizer.ggml.token_type: {} values for {} tokens",
        types->size(),
        tokens.size());
  }
  for (size_t i = 0; i < tokens.size(); ++i) {
    int id = static_cast<int>(i);
    spec.vocabulary.push_back({tokens[i], id});
    auto type = types ? (*types)[i] : 1;
    if (type < 0 || type > last_token_type) {
      throw user_error(
          "GGUF metadata tokenizer.ggml.token_type: token {} has type {}, "
          "expected 0 to {}",
          i,
          type,
          last_token_type);
    }
    if (type == control_token || type == user_defined_token) {
      spec.added.push_back(
          {.id = id, .content = tokens[i], .special = type == control_token});
    }
  }
  const auto& merges = require<Strings>(metadata, "tokenizer.ggml.merges");
  for (const auto& merge : merges) {
    auto space = merge.find(' ');
    if (space == merge.npos || space != merge.rfind(' ')) {
      throw user_error(
          "GGUF metadata tokenizer.ggml.merges: merge {} is {}, expected two "
          "tokens with a space between them",
          spec.merges.size(),
          quote(merge));
    }
    spec.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
}

std::optional<int>
token_id(const GgufMetadata& metadata, const char* key, size_t vocab_size) {
  auto* id = find_gguf<int64_t>(metadata, key);
  if (!id) {
    return std::nullopt;
  }
  if (*id < 0 || *id >= static_cast<int64_t>(vocab_size)) {
    throw user_error(
        "GGUF metadata {} is {}, expected one of the {} tokens' ids",
        key,
        *id,
        vocab_size);
  }
  return static_cast<int>(*id);
}

void read_ends(
    const GgufMetadata& metadata,
    bool bos_by_default,
    TokenizerSpec& spec) {
  auto vocab_size = spec.vocabulary.size();
  spec.bos = token_id(metadata, "tokenizer.ggml.bos_token_id", vocab_size);
  for (const char* key :
       {"tokenizer.ggml.eos_token_id",
        "tokenizer.ggml.eot_token_id",
        "tokenizer.ggml.eom_token_id"}) {
    auto id = token_id(metadata, key, vocab_size);
    if (id && std::ranges::find(spec.eos, *id) == spec.eos.end()) {
      spec.eos.push_back(*id);
    }
  }
  if (value_or(metadata, "tokenizer.ggml.add_bos_token", bos_by_default) &&
      spec.bos) {
    spec.prefix = {*spec.bos};
  }
  if (value_or(metadata, "tokenizer.ggml.add_eos_token", false) &&
      !spec.eos.empty()) {
    spec.suffix = {spec.eos.front()};
  }
  // A chat ends its turns so, whatever the file says ends a text.
  for (const auto& token : spec.added) {
    const bool ends = std::ranges::find(ends_of_turns, token.content) !=
        std::end(ends_of_turns);
    if (ends && std::ranges::find(spec.eos, token.id) == spec.eos.end()) {
      spec.eos.push_back(token.id);
    }
  }
}

} // namespace

Tokenizer Tokenizer::from_gguf(const GgufMetadata& metadata) {
  const auto& model = require<std::string>(metadata, "tokenizer.ggml.model");
  if (model != "gpt2") {
    throw user_error(
        "GGUF metadata tokenizer.ggml.model: the model {} is not understood; "
        "known is gpt2 (byte-level BPE)",
        quote(model));
  }
  auto how = splitting(
      value_or<std::string>(metadata, "tokenizer.ggml.pre", "default"));
  TokenizerSpec spec;
  spec.source = source;
  read_tokens(metadata, spec);
  if (how.nfc) {
    spec.normalizer.steps.emplace_back(Normalizer::Form::nfc);
  }
  if (how.digits) {
    spec.pretokenizer.steps.emplace_back(PreTokenizer::Digits{true});
  }
  spec.pretokenizer.steps.emplace_back(PreTokenizer::Split{
      Pattern::regex(how.words, "tokenizer.ggml.pre"),
      PreTokenizer::Behavior::isolated});
  spec.pretokenizer.byte_level = true;
  spec.bpe.ignore_merges = how.ignore_merges;
  spec.byte_level_decoder = true;
  read_ends(metadata, how.bos_by_default, spec);
  return TokenizerBuilder::build(std::move(spec));
}

} // namespace zmlx::io
