#include "zmlx/io/tokenizer.h"

#include <algorithm>
#include <unordered_map>

#include "zmlx/base/errors.h"
#include "zmlx/io/byte_level.h"
#include "zmlx/io/quote.h"
#include "zmlx/io/tokenizer_parts.h"
#include "zmlx/io/unicode.h"

namespace zmlx::io {

struct TokenizerParts {
  Vocabulary vocabulary; // of the model
  Vocabulary added; // token -> id of the added tokens
  std::vector<std::string> bytes; // by id
  std::vector<bool> special; // by id
  std::optional<Bpe> bpe;
  AddedTokens raw_tokens; // looked for in the text as it came
  AddedTokens normalized_tokens; // looked for after normalization
  Normalizer normalizer;
  PreTokenizer pretokenizer;
  int leading_spaces_dropped = 0;
  std::vector<int> prefix;
  std::vector<int> suffix;
  std::vector<int> eos;
  std::optional<int> bos;
};

namespace {

/// What one token of the model's vocabulary adds to a text.
std::string decoded(const TokenizerSpec& spec, const std::string& token) {
  if (spec.byte_level_decoder) {
    return from_byte_level(token).value_or(token);
  }
  if (spec.decoder_byte_fallback && token.size() == 6 &&
      token.starts_with("<0x") && token.ends_with(">")) {
    for (int b = 0; b < 256; ++b) {
      if (Bpe::byte_token(b) == token) {
        return std::string(1, static_cast<char>(b));
      }
    }
  }
  auto out = token;
  for (const auto& [from, to] : spec.decoder_replacements) {
    for (size_t at = 0; (at = out.find(from, at)) != out.npos;
         at += to.size()) {
      out.replace(at, from.size(), to);
    }
  }
  return out;
}

void add_vocabulary(const TokenizerSpec& spec, TokenizerParts& parts) {
  std::vector<const std::string*> owner;
  auto place = [&](int id) {
    auto size = static_cast<size_t>(id) + 1;
    if (parts.bytes.size() < size) {
      parts.bytes.resize(size);
      parts.special.resize(size);
      owner.resize(size);
    }
  };
  for (const auto& [text, id] : spec.vocabulary) {
    place(id);
    if (owner[id]) {
      throw user_error(
          "{}: id {} belongs to both {} and {}",
          spec.source,
          id,
          quote(*owner[id]),
          quote(text));
    }
    owner[id] = &text;
    auto [it, is_new] = parts.vocabulary.emplace(text, id);
    if (!is_new) {
      throw user_error(
          "{}: token {} has both id {} and id {}",
          spec.source,
          quote(text),
          it->second,
          id);
    }
    parts.bytes[id] = decoded(spec, text);
  }
  for (const auto& token : spec.added) {
    place(token.id);
    auto it = parts.vocabulary.find(token.content);
    bool other_id = it != parts.vocabulary.end() && it->second != token.id;
    bool other_token = owner[token.id] && *owner[token.id] != token.content;
    if (other_id || other_token) {
      throw user_error(
          "{}: added token {} has id {}, but the vocabulary has {}",
          spec.source,
          quote(token.content),
          token.id,
          other_id ? fmt::format("that token with id {}", it->second)
                   : fmt::format("{} there", quote(*owner[token.id])));
    }
    parts.added.emplace(token.content, token.id);
    if (!owner[token.id]) {
      owner[token.id] = &token.content;
      parts.bytes[token.id] = token.content;
    }
    parts.special[token.id] = token.special;
  }
}

void add_added_tokens(const TokenizerSpec& spec, TokenizerParts& parts) {
  for (const auto& token : spec.added) {
    if (find_invalid_utf8(token.content) != std::string_view::npos) {
      throw user_error(
          "{}: added token {} is not UTF-8", spec.source, quote(token.content));
    }
    auto content =
        token.normalized ? spec.normalizer(token.content) : token.content;
    if (content.empty() || content.size() > AddedTokens::max_content) {
      throw user_error(
          "{}: added token {} has {} bytes, expected 1 to {}",
          spec.source,
          quote(token.content),
          content.size(),
          AddedTokens::max_content);
    }
    auto& tokens =
        token.normalized ? parts.normalized_tokens : parts.raw_tokens;
    tokens.add(token, content);
  }
}

/// One call of encode: what it found out about words is kept until its end.
class Encoding {
 public:
  explicit Encoding(const TokenizerParts& parts) : parts_(parts) {}

  void text(std::string_view text) {
    for (const auto& piece : parts_.raw_tokens.split(text)) {
      if (piece.id >= 0) {
        ids.push_back(piece.id);
      } else {
        plain(text.substr(piece.span.begin, piece.span.end - piece.span.begin));
      }
    }
  }

  std::vector<int> ids;

 private:
  void plain(std::string_view text) {
    std::string normalized;
    if (!parts_.normalizer.steps.empty()) {
      normalized = parts_.normalizer(text);
      text = normalized;
    }
    auto encode_word = [&](std::string_view w) { word(w); };
    if (parts_.normalized_tokens.empty()) {
      parts_.pretokenizer.split(text, encode_word);
      return;
    }
    for (const auto& piece : parts_.normalized_tokens.split(text)) {
      if (piece.id >= 0) {
        ids.push_back(piece.id);
      } else {
        parts_.pretokenizer.split(
            text.substr(piece.span.begin, piece.span.end - piece.span.begin),
            encode_word);
      }
    }
  }

  void word(std::string_view word) {
    constexpr size_t longest_kept = 64;
    if (word.size() > longest_kept) {
      parts_.bpe->encode(parts_.vocabulary, word, ids);
      return;
    }
    auto it = known_.find(word);
    if (it == known_.end()) {
      auto begin = ids.size();
      parts_.bpe->encode(parts_.vocabulary, word, ids);
      known_.emplace(word, Span{begin, ids.size()});
      return;
    }
    // A word's tokens are where they were first written.
    for (auto i = it->second.begin; i < it->second.end; ++i) {
      ids.push_back(ids[i]);
    }
  }

  const TokenizerParts& parts_;
  std::unordered_map<std::string, Span, StringHash, std::equal_to<>> known_;
};

} // namespace

Tokenizer TokenizerBuilder::build(TokenizerSpec spec) {
  auto parts = std::make_shared<TokenizerParts>();
  add_vocabulary(spec, *parts);
  add_added_tokens(spec, *parts);
  spec.bpe.byte_level = spec.pretokenizer.byte_level;
  if (spec.unknown_token) {
    auto it = parts->vocabulary.find(*spec.unknown_token);
    if (it == parts->vocabulary.end()) {
      throw user_error(
          "{}: the unknown token {} is not in the vocabulary",
          spec.source,
          quote(*spec.unknown_token));
    }
    spec.bpe.unknown = it->second;
  }
  parts->bpe.emplace(parts->vocabulary, spec.merges, spec.bpe, spec.source);
  auto check = [&](int id, const char* what) {
    auto size = static_cast<int>(parts->bytes.size());
    if (id < 0 || id >= size) {
      throw user_error(
          "{}: {} {} is not in [0, {}), the ids of the vocabulary",
          spec.source,
          what,
          id,
          size);
    }
  };
  for (int id : spec.prefix) {
    check(id, "special token id");
  }
  for (int id : spec.suffix) {
    check(id, "special token id");
  }
  for (int id : spec.eos) {
    check(id, "eos token id");
  }
  if (spec.bos) {
    check(*spec.bos, "bos token id");
  }
  parts->normalizer = std::move(spec.normalizer);
  parts->pretokenizer = std::move(spec.pretokenizer);
  parts->leading_spaces_dropped = spec.leading_spaces_dropped;
  parts->prefix = std::move(spec.prefix);
  parts->suffix = std::move(spec.suffix);
  parts->eos = std::move(spec.eos);
  parts->bos = spec.bos;
  return Tokenizer(std::move(parts));
}

Tokenizer::Tokenizer(std::shared_ptr<const TokenizerParts> parts)
    : parts_(std::move(parts)) {}

std::vector<int> Tokenizer::encode(std::string_view text, bool add_special)
    const {
  if (auto at = find_invalid_utf8(text); at != text.npos) {
    throw user_error(
        "the text is not UTF-8: byte {} of {} is 0x{:02X}, which does not "
        "belong there",
        at,
        text.size(),
        static_cast<unsigned char>(text[at]));
  }
  Encoding encoding(*parts_);
  if (add_special) {
    encoding.ids = parts_->prefix;
  }
  encoding.text(text);
  if (add_special) {
    encoding.ids.insert(
        encoding.ids.end(), parts_->suffix.begin(), parts_->suffix.end());
  }
  return std::move(encoding.ids);
}

std::string Tokenizer::decode(std::span<const int> ids, bool skip_special)
    const {
  std::string bytes;
  for (int id : ids) {
    if (!(skip_special && is_special(id))) {
      bytes += token_bytes(id);
    }
  }
  auto text = replace_invalid_utf8(bytes);
  auto spaces = std::min(
      text.find_first_not_of(' '),
      std::min<size_t>(text.size(), leading_spaces_dropped()));
  return text.substr(spaces);
}

std::string_view Tokenizer::token_bytes(int id) const {
  return id >= 0 && id < vocab_size() ? std::string_view(parts_->bytes[id])
                                      : std::string_view();
}

int Tokenizer::leading_spaces_dropped() const {
  return parts_->leading_spaces_dropped;
}

std::optional<int> Tokenizer::id_of(std::string_view token) const {
  for (auto* ids : {&parts_->vocabulary, &parts_->added}) {
    if (auto it = ids->find(token); it != ids->end()) {
      return it->second;
    }
  }
  return std::nullopt;
}

bool Tokenizer::is_special(int id) const {
  return id >= 0 && id < vocab_size() && parts_->special[id];
}

int Tokenizer::vocab_size() const {
  return static_cast<int>(parts_->bytes.size());
}

const std::vector<int>& Tokenizer::eos_ids() const {
  return parts_->eos;
}

std::optional<int> Tokenizer::bos_id() const {
  return parts_->bos;
}

} // namespace zmlx::io
