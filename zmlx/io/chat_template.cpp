#include "zmlx/io/chat_template.h"

#include <algorithm>

#include <fmt/format.h>

#include "zmlx/base/errors.h"
#include "zmlx/io/config.h"
#include "zmlx/io/file_reader.h"
#include "zmlx/io/jinja_lexer.h"
#include "zmlx/io/quote.h"
#include "zmlx/io/unicode.h"

namespace zmlx::io {

namespace {

using Tokens = std::vector<std::string>;

/// A string literal keeps its opening quotation mark in the token.
bool is_string(const std::string& token) {
  return token.starts_with('\'') || token.starts_with('"');
}

/// The same tokens, whatever the quotation marks and however a field is
/// written: m['role'] and m.role.
Tokens normal(const Tokens& tokens) {
  Tokens out;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (i + 2 < tokens.size() && tokens[i] == "[" && is_string(tokens[i + 1]) &&
        tokens[i + 2] == "]") {
      out.push_back(".");
      out.push_back(tokens[i + 1].substr(1));
      i += 2;
    } else if (is_string(tokens[i])) {
      out.push_back(tokens[i]);
      out.back().front() = '\'';
    } else {
      out.push_back(tokens[i]);
    }
  }
  return out;
}

} // namespace

/// Reads the parts of a template one after the other.
class ChatTemplateParser {
 public:
  ChatTemplateParser(std::string_view jinja, const std::string& source)
      : source_(source), parts_(split_jinja(jinja, source)) {
    for (auto& part : parts_) {
      if (part.kind != JinjaPart::Kind::text) {
        part.tokens = normal(part.tokens);
      }
    }
  }

  ChatTemplate run() {
    skip_generation_prompt_default();
    out_.before_ = literals();
    loop();
    out_.after_ = literals();
    if (take(Tokens{"if", "add_generation_prompt"})) {
      out_.generation_prompt_ = literals();
      expect(Tokens{"endif"});
    }
    if (at_ < parts_.size()) {
      refuse("expected the end");
    }
    return std::move(out_);
  }

 private:
  using Kind = JinjaPart::Kind;
  using Field = ChatTemplate::Field;
  using Piece = ChatTemplate::Piece;

  [[noreturn]] void refuse(std::string_view expected) const {
    std::string got = "the end";
    if (at_ < parts_.size()) {
      got.clear();
      for (const auto& token : parts_[at_].tokens) {
        got += (got.empty() ? "" : " ") + token;
      }
      got = quote(got);
    }
    throw user_error(
        "{}: this chat template is not understood at byte {}: {}, got {}. Only "
        "templates of ChatML's shape are; give the prompt as the model wants "
        "it with --ignore-chat-template",
        source_,
        at_ < parts_.size() ? parts_[at_].offset : 0,
        expected,
        got);
  }

  bool is_statement(const Tokens& tokens) const {
    return at_ < parts_.size() && parts_[at_].kind == Kind::statement &&
        parts_[at_].tokens == tokens;
  }

  bool take(const Tokens& statement) {
    bool is_it = is_statement(statement);
    at_ += is_it;
    return is_it;
  }

  void expect(const Tokens& statement) {
    if (!take(statement)) {
      std::string text = "expected";
      for (const auto& token : statement) {
        text += " " + token;
      }
      refuse(text);
    }
  }

  /// `{% if not add_generation_prompt is defined %}...`: it always is.
  void skip_generation_prompt_default() {
    if (take({"if", "not", "add_generation_prompt", "is", "defined"}) ||
        take({"if", "add_generation_prompt", "is", "not", "defined"})) {
      if (!take({"set", "add_generation_prompt", "=", "false"})) {
        expect({"set", "add_generation_prompt", "=", "False"});
      }
      expect({"endif"});
    }
  }

  void loop() {
    if (at_ == parts_.size() || parts_[at_].kind != Kind::statement ||
        parts_[at_].tokens.size() != 4 || parts_[at_].tokens[0] != "for" ||
        parts_[at_].tokens[2] != "in" || parts_[at_].tokens[3] != "messages") {
      refuse("expected a loop over messages");
    }
    variable_ = parts_[at_++].tokens[1];
    if (starts_default_system()) {
      ++at_;
      out_.default_system_ = literals();
      expect({"endif"});
    }
    while (at_ < parts_.size() && parts_[at_].kind != Kind::statement) {
      written(out_.message_);
    }
    auto writes = [&](Field wanted) {
      return std::ranges::any_of(
          out_.message_, [&](const Piece& p) { return p.field == wanted; });
    };
    if (!writes(Field::content) && !writes(Field::trimmed_content)) {
      refuse("expected each message's content to be written");
    }
    expect({"endfor"});
  }

  bool starts_default_system() const {
    const Tokens no_system = {
        "messages", "[", "0", "]", ".", "role", "!=", "'system"};
    for (const Tokens& first : std::initializer_list<Tokens>{
             {"loop", ".", "first"}, {"loop", ".", "index0", "==", "0"}}) {
      Tokens condition = {"if"};
      condition.insert(condition.end(), first.begin(), first.end());
      condition.push_back("and");
      condition.insert(condition.end(), no_system.begin(), no_system.end());
      if (is_statement(condition)) {
        return true;
      }
    }
    return false;
  }

  /// Texts and outputs without fields, as one text.
  std::string literals() {
    std::vector<Piece> pieces;
    while (at_ < parts_.size() && parts_[at_].kind != Kind::statement) {
      auto part = at_;
      written(pieces);
      if (!pieces.empty() && pieces.back().field != Field::none) {
        at_ = part;
        refuse("expected a literal");
      }
    }
    return pieces.empty() ? std::string() : pieces.front().text;
  }

  static void add(std::vector<Piece>& to, std::string_view text, Field field) {
    if (to.empty() || to.back().field != Field::none) {
      to.emplace_back();
    }
    to.back().text += text;
    to.back().field = field;
  }

  /// One text, or one output: operands with + between them.
  void written(std::vector<Piece>& to) {
    const auto& part = parts_[at_];
    if (part.kind == Kind::text) {
      add(to, part.tokens[0], Field::none);
      ++at_;
      return;
    }
    const auto& tokens = part.tokens;
    for (size_t i = 0; i <= tokens.size(); ++i) {
      auto end = std::find(tokens.begin() + i, tokens.end(), "+");
      operand(Tokens(tokens.begin() + i, end), to);
      i = end - tokens.begin();
    }
    ++at_;
  }

  void operand(const Tokens& tokens, std::vector<Piece>& to) {
    if (tokens.size() == 1 && is_string(tokens[0])) {
      return add(to, tokens[0].substr(1), Field::none);
    }
    auto is_field = [&](const char* name, Tokens filter) {
      Tokens wanted = {variable_, ".", name};
      wanted.insert(wanted.end(), filter.begin(), filter.end());
      return !variable_.empty() && tokens == wanted;
    };
    if (is_field("role", {})) {
      add(to, "", Field::role);
    } else if (is_field("content", {})) {
      add(to, "", Field::content);
    } else if (
        is_field("content", {"|", "trim"}) ||
        is_field("content", {".", "strip", "(", ")"})) {
      add(to, "", Field::trimmed_content);
    } else {
      refuse("expected strings, the role and the content of a message");
    }
  }

  const std::string& source_;
  std::vector<JinjaPart> parts_;
  size_t at_ = 0;
  std::string variable_; // of the loop
  ChatTemplate out_;
};

namespace {

/// As Python's str.strip: white space, and the four separators of ASCII.
std::string_view trimmed(std::string_view text) {
  size_t begin = text.size(), end = 0;
  for (size_t at = 0; at < text.size();) {
    auto step = decode_utf8(text, at);
    bool separator = step.code >= 0x1C && step.code <= 0x1F;
    if (!separator && !is_white_space(step.code)) {
      begin = std::min(begin, at);
      end = at + step.length;
    }
    at += step.length;
  }
  return begin < end ? text.substr(begin, end - begin) : std::string_view();
}

std::string read_template(const std::filesystem::path& path) {
  constexpr uint64_t most = 1 << 20;
  FileReader file(path);
  if (file.size() > most) {
    throw user_error(
        "{}: {} bytes is too large for a chat template, expected at most {}",
        file.name(),
        file.size(),
        most);
  }
  return file.read_string(file.size(), "the template");
}

/// tokenizer_config.json has one template, or several with names.
std::optional<ChatTemplate> from_config(const Config& config) {
  const char* key = "chat_template";
  if (!config.has(key)) {
    return std::nullopt;
  }
  if (!config.json()[key].is_array()) {
    return ChatTemplate::parse(config.require_string(key), config.source());
  }
  for (const auto& entry : config.json()[key]) {
    Config named(entry, config.source() + ": chat_template");
    if (named.require_string("name") == "default") {
      return ChatTemplate::parse(
          named.require_string("template"), named.source());
    }
  }
  throw user_error(
      "{}: none of the templates in 'chat_template' is named default",
      config.source());
}

} // namespace

ChatTemplate ChatTemplate::parse(
    std::string_view jinja,
    const std::string& source) {
  return ChatTemplateParser(jinja, source).run();
}

std::optional<ChatTemplate> ChatTemplate::load(
    const std::filesystem::path& path) {
  if (is_gguf(path)) {
    return from_gguf(read_gguf_header(path).metadata);
  }
  auto jinja = path / "chat_template.jinja";
  if (std::filesystem::exists(jinja)) {
    return parse(read_template(jinja), jinja.string());
  }
  auto config = path / "tokenizer_config.json";
  if (std::filesystem::exists(config)) {
    return from_config(Config(read_json(config), config.string()));
  }
  return std::nullopt;
}

std::optional<ChatTemplate> ChatTemplate::from_gguf(
    const GgufMetadata& metadata) {
  const char* key = "tokenizer.chat_template";
  auto* text = find_gguf<std::string>(metadata, key);
  if (!text) {
    return std::nullopt;
  }
  return parse(*text, fmt::format("GGUF metadata {}", key));
}

std::string ChatTemplate::render(
    const std::vector<ChatMessage>& messages,
    bool add_generation_prompt) const {
  std::string out = before_;
  if (!messages.empty() && messages.front().role != "system") {
    out += default_system_;
  }
  for (const auto& message : messages) {
    for (const auto& piece : message_) {
      out += piece.text;
      switch (piece.field) {
        case Field::none:
          break;
        case Field::role:
          out += message.role;
          break;
        case Field::content:
          out += message.content;
          break;
        case Field::trimmed_content:
          out += trimmed(message.content);
          break;
      }
    }
  }
  out += after_;
  if (add_generation_prompt) {
    out += generation_prompt_;
  }
  return out;
}

} // namespace zmlx::io
