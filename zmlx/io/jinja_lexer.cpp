#include "zmlx/io/jinja_lexer.h"

#include <cctype>

#include "zmlx/base/errors.h"
#include "zmlx/io/quote.h"

namespace zmlx::io {

namespace {

constexpr std::string_view blanks = " \t\n\r\f\v";

std::string with_unix_newlines(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') {
      out += text[i];
    } else if (i + 1 == text.size() || text[i + 1] != '\n') {
      out += '\n';
    }
  }
  if (out.ends_with('\n')) {
    out.pop_back();
  }
  return out;
}

bool is_name_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
}

class Lexer {
 public:
  Lexer(std::string_view text, const std::string& source)
      : text_(with_unix_newlines(text)), source_(source) {}

  std::vector<JinjaPart> run() {
    while (at_ < text_.size()) {
      auto open = next_open();
      literal(open);
      at_ = open;
      if (open < text_.size()) {
        block();
      }
    }
    return std::move(parts_);
  }

 private:
  [[noreturn]] void fail(size_t at, std::string_view what) const {
    throw user_error(
        "{}: {} at byte {} of the chat template; give the prompt as it is with "
        "--ignore-chat-template",
        source_,
        what,
        at);
  }

  size_t next_open() const {
    for (auto at = text_.find('{', at_); at != text_.npos;
         at = text_.find('{', at + 1)) {
      if (at + 1 < text_.size() &&
          std::string_view("{%#").find(text_[at + 1]) != std::string::npos) {
        return at;
      }
    }
    return text_.size();
  }

  /// Text up to a block, without what the block's braces take away.
  void literal(size_t open) {
    auto text = std::string_view(text_).substr(at_, open - at_);
    char kind = open < text_.size() ? text_[open + 1] : '\0';
    char control = open + 2 < text_.size() ? text_[open + 2] : '\0';
    if (kind != '\0' && control == '-') {
      auto last = text.find_last_not_of(blanks);
      text = text.substr(0, last == text.npos ? 0 : last + 1);
    } else if ((kind == '%' || kind == '#') && control != '+') {
      // lstrip_blocks: blanks between the line's start and the block.
      auto last = text.find_last_not_of(" \t");
      bool line_start = last == text.npos ? at_line_start_ : text[last] == '\n';
      if (line_start) {
        text = text.substr(0, last == text.npos ? 0 : last + 1);
      }
    }
    if (!text.empty()) {
      parts_.push_back({JinjaPart::Kind::text, {std::string(text)}, at_});
    }
  }

  void block() {
    auto open = at_;
    char kind = text_[open + 1];
    at_ += 2;
    if (at_ < text_.size() && (text_[at_] == '-' || text_[at_] == '+')) {
      ++at_;
    }
    std::string close = kind == '{' ? "}}" : kind == '%' ? "%}" : "#}";
    char control = '\0';
    if (kind == '#') {
      auto end = text_.find(close, at_);
      if (end == text_.npos) {
        fail(open, "a comment without end");
      }
      control = text_[end - 1];
      at_ = end + 2;
    } else {
      auto tokens = block_tokens(open, close, control);
      parts_.push_back(
          {kind == '{' ? JinjaPart::Kind::output : JinjaPart::Kind::statement,
           std::move(tokens),
           open});
    }
    after_block(kind, control);
  }

  /// What a block takes away behind it.
  void after_block(char kind, char control) {
    auto before = at_;
    if (control == '-') {
      at_ = std::min(text_.find_first_not_of(blanks, at_), text_.size());
    } else if (
        kind != '{' && control != '+' && at_ < text_.size() &&
        text_[at_] == '\n') {
      ++at_; // trim_blocks
    }
    at_line_start_ = at_ > before && text_[at_ - 1] == '\n';
  }

  std::vector<std::string>
  block_tokens(size_t open, const std::string& close, char& control) {
    std::vector<std::string> tokens;
    while (true) {
      at_ = text_.find_first_not_of(blanks, at_);
      if (at_ == text_.npos) {
        fail(open, "a block without end");
      }
      auto rest = std::string_view(text_).substr(at_);
      if (rest.starts_with(close)) {
        at_ += 2;
        return tokens;
      }
      if ((rest[0] == '-' || rest[0] == '+') &&
          rest.substr(1).starts_with(close)) {
        control = rest[0];
        at_ += 3;
        return tokens;
      }
      tokens.push_back(token(rest));
    }
  }

  std::string token(std::string_view rest) {
    if (rest[0] == '\'' || rest[0] == '"') {
      return string_literal(rest[0]);
    }
    size_t length = 0;
    while (length < rest.size() && is_name_char(rest[length])) {
      ++length;
    }
    for (std::string_view two : {"==", "!=", "<=", ">=", "//", "**"}) {
      if (length == 0 && rest.starts_with(two)) {
        length = 2;
      }
    }
    if (length == 0) {
      if (std::string_view("+-*/%|.,:()[]{}=<>~").find(rest[0]) ==
          std::string_view::npos) {
        fail(at_, "the character " + quote(rest.substr(0, 1)));
      }
      length = 1;
    }
    at_ += length;
    return std::string(rest.substr(0, length));
  }

  std::string string_literal(char mark) {
    auto open = at_++;
    std::string out(1, mark);
    for (; at_ < text_.size(); ++at_) {
      char c = text_[at_];
      if (c == mark) {
        ++at_;
        return out;
      }
      out += c == '\\' ? escape() : c;
    }
    fail(open, "a string without end");
  }

  char escape() {
    char c = ++at_ < text_.size() ? text_[at_] : '\0';
    switch (c) {
      case 'n':
        return '\n';
      case 't':
        return '\t';
      case 'r':
        return '\r';
      case '\\':
      case '\'':
      case '"':
        return c;
      default:
        fail(at_, "an escape that is not understood");
    }
  }

  std::string text_;
  const std::string& source_;
  std::vector<JinjaPart> parts_;
  size_t at_ = 0;
  bool at_line_start_ = true;
};

} // namespace

std::vector<JinjaPart> split_jinja(
    std::string_view text,
    const std::string& source) {
  return Lexer(text, source).run();
}

} // namespace zmlx::io
