#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace zmlx::lang::parse_detail {

/// The text of a formula, for messages that point into it.
class Source {
 public:
  Source(std::string_view text, std::string_view name)
      : text_(text), name_(name) {}

  std::string_view text() const {
    return text_;
  }
  /// "line 1, column 5": columns count characters, not bytes.
  std::string place(size_t offset) const;
  /// Throws a UserError: the message, the line at `offset`, and a caret below
  /// `length` bytes of it.
  [[noreturn]] void fail(size_t offset, size_t length, std::string_view message)
      const;
  /// The same for what concerns the whole formula.
  [[noreturn]] void fail(std::string_view message) const;

 private:
  std::string_view text_;
  std::string_view name_;
};

struct Token {
  enum class Kind { Name, Number, Mark, End };
  Kind kind = Kind::End;
  size_t offset = 0;
  std::string_view text;
  double value = 0; // Number
  bool integer = false;

  bool is(std::string_view mark) const {
    return kind == Kind::Mark && text == mark;
  }
};

/// Ends with a token End.
std::vector<Token> tokenize(const Source& source);

/// "'x'" or "the end of the formula".
std::string describe(const Token& token);

bool is_name(std::string_view text);

} // namespace zmlx::lang::parse_detail
