#include "zmlx/io/tokenizer_json.h"

#include "zmlx/base/errors.h"
#include "zmlx/io/quote.h"

namespace zmlx::io {

using nlohmann::json;

std::vector<Config> objects(const Config& json, const std::string& key) {
  if (!json.has(key) || !json.json()[key].is_array()) {
    throw user_error(
        "{}: expected {} to be an array of objects", json.source(), quote(key));
  }
  std::vector<Config> out;
  for (const auto& element : json.json()[key]) {
    out.emplace_back(
        element, fmt::format("{}: {}[{}]", json.source(), key, out.size()));
  }
  return out;
}

void refuse_type(const Config& json, const char* part, const char* known) {
  throw user_error(
      "{}: {} {} is not understood; known are {}",
      json.source(),
      part,
      quote(json.require_string("type")),
      known);
}

namespace {

TokenizerSpec::Token vocabulary_entry(
    const std::string& source,
    const std::string& text,
    const json& id) {
  // Floats and negative numbers are no ids.
  if (!id.is_number_unsigned() || id.get<uint64_t>() > max_token_id) {
    throw user_error(
        "{}: token {} has id {}, expected an integer in [0, {}]",
        source,
        quote(text),
        quote(id.dump(-1, ' ', true, json::error_handler_t::replace)),
        max_token_id);
  }
  return {text, id.get<int>()};
}

Bpe::Merge
merge_entry(const std::string& source, size_t rank, const json& merge) {
  if (merge.is_string()) {
    const auto& text = merge.get_ref<const std::string&>();
    auto space = text.find(' ');
    if (space != text.npos && space == text.rfind(' ')) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  } else if (
      merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
      merge[1].is_string()) {
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  }
  throw user_error(
      "{}: merge {} is {}, expected two tokens: \"a b\" or [\"a\", \"b\"]",
      source,
      rank,
      quote(merge.dump(-1, ' ', true, json::error_handler_t::replace)));
}

void refuse_model_features(const Config& model) {
  if (model.has("dropout") && model.json()["dropout"] != 0) {
    throw user_error(
        "{}: 'dropout' makes encoding random and is not understood; expected "
        "null",
        model.source());
  }
  for (const char* affix :
       {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!model.optional_string(affix, "").empty()) {
      throw user_error(
          "{}: {} is not understood; expected null",
          model.source(),
          quote(affix));
    }
  }
}

void read_model(const Config& model, TokenizerSpec& out) {
  // Older files leave the type of a BPE model out.
  if (model.optional_string("type", "BPE") != "BPE") {
    refuse_type(model, "model", "BPE");
  }
  refuse_model_features(model);
  out.bpe.ignore_merges = model.optional_bool("ignore_merges", false);
  out.bpe.byte_fallback = model.optional_bool("byte_fallback", false);
  out.bpe.fuse_unknown = model.optional_bool("fuse_unk", false);
  if (model.has("unk_token")) {
    out.unknown_token = model.require_string("unk_token");
  }
  const auto& fields = model.json();
  if (!model.has("vocab") || !fields["vocab"].is_object() ||
      fields["vocab"].empty()) {
    throw user_error(
        "{}: expected 'vocab' to be an object of tokens and their ids",
        model.source());
  }
  for (const auto& [text, id] : fields["vocab"].items()) {
    out.vocabulary.push_back(
        vocabulary_entry(model.source() + ": vocab", text, id));
  }
  if (!model.has("merges") || !fields["merges"].is_array()) {
    throw user_error("{}: expected 'merges' to be an array", model.source());
  }
  for (const auto& merge : fields["merges"]) {
    out.merges.push_back(merge_entry(model.source(), out.merges.size(), merge));
  }
}

void read_added_tokens(const Config& json, TokenizerSpec& out) {
  if (!json.has("added_tokens")) {
    return;
  }
  for (const auto& token : objects(json, "added_tokens")) {
    AddedToken added;
    added.id = token.require_int("id", 0, max_token_id);
    added.content = token.require_string("content");
    added.special = token.optional_bool("special", false);
    added.normalized = token.optional_bool("normalized", !added.special);
    added.lstrip = token.optional_bool("lstrip", false);
    added.rstrip = token.optional_bool("rstrip", false);
    added.single_word = token.optional_bool("single_word", false);
    out.added.push_back(std::move(added));
  }
}

/// The id of a token that tokenizer_config.json names: "x" or {"content": "x"}.
std::optional<int> named_token(
    const Config& config,
    const std::string& key,
    const TokenizerSpec& spec) {
  if (!config.has(key)) {
    return std::nullopt;
  }
  auto text = config.json()[key].is_object()
      ? config.object(key)->require_string("content")
      : config.require_string(key);
  for (const auto& token : spec.added) {
    if (token.content == text) {
      return token.id;
    }
  }
  for (const auto& token : spec.vocabulary) {
    if (token.text == text) {
      return token.id;
    }
  }
  throw user_error(
      "{}: {} {} is not a token of {}",
      config.source(),
      quote(key),
      quote(text),
      spec.source);
}

/// Which tokens start and end a text, from the files beside tokenizer.json.
void read_companions(const std::filesystem::path& folder, TokenizerSpec& out) {
  for (const char* name : {"generation_config.json", "config.json"}) {
    auto path = folder / name;
    if (!std::filesystem::exists(path)) {
      continue;
    }
    Config config(read_json(path), path.string());
    if (out.eos.empty()) {
      out.eos = config.int_or_ints("eos_token_id", 0, max_token_id);
    }
    if (!out.bos && config.has("bos_token_id")) {
      out.bos = config.require_int("bos_token_id", 0, max_token_id);
    }
  }
  auto path = folder / "tokenizer_config.json";
  if (std::filesystem::exists(path)) {
    Config config(read_json(path), path.string());
    if (out.eos.empty()) {
      if (auto id = named_token(config, "eos_token", out)) {
        out.eos = {*id};
      }
    }
    if (!out.bos) {
      out.bos = named_token(config, "bos_token", out);
    }
  }
}

} // namespace

TokenizerSpec read_tokenizer(const Config& json) {
  TokenizerSpec spec;
  spec.source = json.source();
  auto model = json.object("model");
  if (!model) {
    throw user_error("{}: expected an object 'model'", json.source());
  }
  read_model(*model, spec);
  read_added_tokens(json, spec);
  if (auto part = json.object("normalizer")) {
    read_normalizer(*part, spec.normalizer);
  }
  if (auto part = json.object("pre_tokenizer")) {
    read_pretokenizer(*part, spec.pretokenizer);
  }
  if (auto part = json.object("post_processor")) {
    read_post_processor(*part, spec);
  }
  auto decoder = json.object("decoder");
  if (!decoder) {
    throw user_error(
        "{}: expected an object 'decoder': without it ids cannot become text",
        json.source());
  }
  read_decoder(*decoder, spec);
  return spec;
}

Tokenizer Tokenizer::from_json(
    std::string_view json,
    const std::string& source) {
  return TokenizerBuilder::build(
      read_tokenizer(Config(parse_json(json, source), source)));
}

Tokenizer Tokenizer::load(const std::filesystem::path& path) {
  if (is_gguf(path)) {
    return from_gguf(read_gguf_header(path).metadata);
  }
  bool is_folder = std::filesystem::is_directory(path);
  auto file = is_folder ? path / "tokenizer.json" : path;
  if (!std::filesystem::exists(file)) {
    throw user_error(
        "{}: no such file; expected a tokenizer.json, a folder with one, or a "
        ".gguf file",
        file.string());
  }
  auto spec = read_tokenizer(Config(read_json(file), file.string()));
  if (is_folder) {
    read_companions(path, spec);
  }
  return TokenizerBuilder::build(std::move(spec));
}

} // namespace zmlx::io
