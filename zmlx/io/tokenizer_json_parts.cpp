#include "zmlx/base/errors.h"
#include "zmlx/io/quote.h"
#include "zmlx/io/tokenizer_json.h"

namespace zmlx::io {

namespace {

/// The normalizers' and pre-tokenizers' {"Regex": "..."} or {"String": "..."}.
Pattern read_pattern(const Config& json) {
  auto pattern = json.object("pattern");
  if (!pattern || pattern->has("Regex") == pattern->has("String")) {
    throw user_error(
        "{}: expected 'pattern' to be {{\"Regex\": ...}} or "
        "{{\"String\": ...}}",
        json.source());
  }
  return pattern->has("Regex")
      ? Pattern::regex(pattern->require_string("Regex"), json.source())
      : Pattern::literal(pattern->require_string("String"), json.source());
}

PreTokenizer::Behavior read_behavior(const Config& json) {
  using Behavior = PreTokenizer::Behavior;
  static const std::pair<const char*, Behavior> known[] = {
      {"Removed", Behavior::removed},
      {"Isolated", Behavior::isolated},
      {"MergedWithPrevious", Behavior::merged_with_previous},
      {"MergedWithNext", Behavior::merged_with_next},
      {"Contiguous", Behavior::contiguous}};
  auto name = json.require_string("behavior");
  for (const auto& [text, behavior] : known) {
    if (name == text) {
      return behavior;
    }
  }
  throw user_error(
      "{}: behavior {} is not understood; known are Removed, Isolated, "
      "MergedWithPrevious, MergedWithNext, Contiguous",
      json.source(),
      quote(name));
}

std::string pattern_string(const Config& json) {
  auto pattern = json.object("pattern");
  if (!pattern || !pattern->has("String") ||
      pattern->require_string("String").empty()) {
    throw user_error(
        "{}: expected 'pattern' to be {{\"String\": ...}} with some text",
        json.source());
  }
  return pattern->require_string("String");
}

/// What "Fuse" and the steps around it mean together is read from their order.
void read_decoder_step(const Config& json, bool& fused, TokenizerSpec& out) {
  auto type = json.require_string("type");
  if (type == "ByteLevel") {
    out.byte_level_decoder = true;
  } else if (type == "Replace" && !fused) {
    out.decoder_replacements.emplace_back(
        pattern_string(json), json.require_string("content"));
  } else if (type == "ByteFallback" && !fused) {
    out.decoder_byte_fallback = true;
  } else if (type == "Fuse") {
    fused = true;
  } else if (type == "Strip" && fused) {
    if (json.require_string("content") != " " ||
        json.optional_int("stop", 0, 0, 1 << 20) != 0) {
      throw user_error(
          "{}: this Strip is not understood; expected content ' ' and stop 0",
          json.source());
    }
    out.leading_spaces_dropped += json.optional_int("start", 0, 0, 16);
  } else if (type == "Replace" || type == "ByteFallback" || type == "Strip") {
    throw user_error(
        "{}: decoder {} is not understood {} Fuse",
        json.source(),
        quote(type),
        fused ? "after" : "without");
  } else {
    refuse_type(
        json,
        "decoder",
        "ByteLevel, Replace, ByteFallback, Fuse, Strip, Sequence");
  }
}

void read_decoder(const Config& json, bool& fused, TokenizerSpec& out) {
  if (json.require_string("type") == "Sequence") {
    for (const auto& step : objects(json, "decoders")) {
      read_decoder(step, fused, out);
    }
  } else {
    read_decoder_step(json, fused, out);
  }
}

/// The ids of one of a template's special tokens.
std::vector<int> special_ids(const Config& json, const std::string& name) {
  auto tokens = json.object("special_tokens");
  auto token = tokens ? tokens->object(name) : std::nullopt;
  if (!token) {
    throw user_error(
        "{}: special token {} is not among 'special_tokens'",
        json.source(),
        quote(name));
  }
  return token->int_or_ints("ids", 0, max_token_id);
}

void read_template(const Config& json, TokenizerSpec& out) {
  bool after_text = false;
  for (const auto& piece : objects(json, "single")) {
    if (auto token = piece.object("SpecialToken")) {
      auto ids = special_ids(json, token->require_string("id"));
      auto& side = after_text ? out.suffix : out.prefix;
      side.insert(side.end(), ids.begin(), ids.end());
    } else if (piece.has("Sequence") && !after_text) {
      after_text = true;
    } else {
      throw user_error(
          "{}: expected a SpecialToken or the one Sequence", piece.source());
    }
  }
  if (!after_text) {
    throw user_error(
        "{}: 'single' has no Sequence, so the text has no place",
        json.source());
  }
}

} // namespace

void read_normalizer(const Config& json, Normalizer& out) {
  using Form = Normalizer::Form;
  auto type = json.require_string("type");
  if (type == "Sequence") {
    for (const auto& step : objects(json, "normalizers")) {
      read_normalizer(step, out);
    }
  } else if (type == "NFC") {
    out.steps.emplace_back(Form::nfc);
  } else if (type == "NFD") {
    out.steps.emplace_back(Form::nfd);
  } else if (type == "NFKC") {
    out.steps.emplace_back(Form::nfkc);
  } else if (type == "NFKD") {
    out.steps.emplace_back(Form::nfkd);
  } else if (type == "Lowercase") {
    out.steps.emplace_back(Normalizer::Lowercase{});
  } else if (type == "Prepend") {
    out.steps.emplace_back(Normalizer::Prepend{json.require_string("prepend")});
  } else if (type == "Replace") {
    out.steps.emplace_back(Normalizer::Replace{
        read_pattern(json), json.require_string("content")});
  } else if (type == "Strip") {
    out.steps.emplace_back(Normalizer::Strip{
        json.optional_bool("strip_left", true),
        json.optional_bool("strip_right", true)});
  } else {
    refuse_type(
        json,
        "normalizer",
        "NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace, Strip, Sequence");
  }
}

void read_pretokenizer(const Config& json, PreTokenizer& out) {
  if (out.byte_level) {
    throw user_error(
        "{}: no pre-tokenizer is understood after ByteLevel", json.source());
  }
  auto type = json.require_string("type");
  if (type == "Sequence") {
    for (const auto& step : objects(json, "pretokenizers")) {
      read_pretokenizer(step, out);
    }
  } else if (type == "ByteLevel") {
    out.add_byte_level(
        json.optional_bool("add_prefix_space", true),
        json.optional_bool("use_regex", true));
  } else if (type == "Digits") {
    out.steps.emplace_back(
        PreTokenizer::Digits{json.optional_bool("individual_digits", false)});
  } else if (type == "Split") {
    out.steps.emplace_back(PreTokenizer::Split{
        read_pattern(json),
        read_behavior(json),
        json.optional_bool("invert", false)});
  } else {
    refuse_type(json, "pre-tokenizer", "ByteLevel, Digits, Split, Sequence");
  }
}

void read_decoder(const Config& json, TokenizerSpec& out) {
  bool fused = false;
  read_decoder(json, fused, out);
  if (out.byte_level_decoder &&
      (out.decoder_byte_fallback || !out.decoder_replacements.empty())) {
    throw user_error(
        "{}: ByteLevel together with Replace or ByteFallback is not "
        "understood",
        json.source());
  }
}

void read_post_processor(const Config& json, TokenizerSpec& out) {
  auto type = json.require_string("type");
  if (type == "Sequence") {
    for (const auto& step : objects(json, "processors")) {
      read_post_processor(step, out);
    }
  } else if (type == "TemplateProcessing") {
    if (!out.prefix.empty() || !out.suffix.empty()) {
      throw user_error(
          "{}: a second TemplateProcessing is not understood", json.source());
    }
    read_template(json, out);
  } else if (type != "ByteLevel") { // which changes offsets only
    refuse_type(
        json, "post-processor", "TemplateProcessing, ByteLevel, Sequence");
  }
}

} // namespace zmlx::io
