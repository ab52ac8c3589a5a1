#include "zmlx/lang/parse/token.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "zmlx/base/errors.h"
#include "zmlx/base/text.h"
#include "zmlx/lang/parse.h"

namespace zmlx::lang::parse_detail {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool continues_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

constexpr size_t kShown = 60; // bytes of a long line on each side

// The text with one column for each character, so that carets stand where
// they should: what is not plain ASCII becomes '?'.
std::string printable(std::string_view text) {
  std::string result;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (continues_character(c)) {
      continue;
    }
    bool space = c == '\t' || c == '\r';
    result += space ? ' ' : byte < 0x20 || byte >= 0x7F ? '?' : c;
  }
  return result;
}

// Numbers may be of any length.
std::string shown(std::string_view text) {
  constexpr size_t kMost = 40;
  return text.size() <= kMost ? std::string(text)
                              : std::string(text.substr(0, kMost)) + "...";
}

} // namespace

std::string Source::place(size_t offset) const {
  std::string_view before = text_.substr(0, offset);
  auto line = std::count(before.begin(), before.end(), '\n') + 1;
  size_t start = before.rfind('\n');
  start = start == std::string_view::npos ? 0 : start + 1;
  return fmt::format(
      "line {}, column {}", line, display_width(before.substr(start)) + 1);
}

void Source::fail(size_t offset, size_t length, std::string_view message)
    const {
  size_t start = text_.substr(0, offset).rfind('\n');
  start = start == std::string_view::npos ? 0 : start + 1;
  size_t end = std::min(text_.find('\n', offset), text_.size());
  size_t from = offset - start > kShown ? offset - kShown : start;
  size_t to = std::min(end, offset + kShown);
  std::string before = (from > start ? "..." : "") +
      printable(text_.substr(from, offset - from));
  std::string after = printable(text_.substr(offset, to - offset));
  throw user_error(
      "{}, {}: {}\n  {}{}{}\n  {}{}",
      name_,
      place(offset),
      message,
      before,
      after,
      to < end ? "..." : "",
      std::string(before.size(), ' '),
      std::string(std::max<size_t>(1, std::min(length, after.size())), '^'));
}

void Source::fail(std::string_view message) const {
  throw user_error("{}: {}", name_, message);
}

namespace {

constexpr std::string_view kMarks[] = {
    "&&", "||", "<=", ">=", "==", "!=", "<<", ">>", "::", "+", "-", "*", "/",
    "%",  "<",  ">",  "=",  "!",  "&",  "|",  "^",  "?",  ":", "(", ")", ",",
};

constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kTyped =
    {{
        {"\u00d7", "*"},
        {"\u00b7", "*"},
        {"\u2212", "-"},
        {"\u2264", "<="},
        {"\u2265", ">="},
        {"\u2260", "!="},
    }};

class Tokenizer {
 public:
  explicit Tokenizer(const Source& source)
      : source_(source), text_(source.text()) {}

  std::vector<Token> run() {
    std::vector<Token> tokens;
    while (true) {
      while (at_ < text_.size() && is_space(text_[at_])) {
        ++at_;
      }
      tokens.push_back(next());
      if (tokens.back().kind == Token::Kind::End) {
        return tokens;
      }
    }
  }

 private:
  char peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  Token take(Token::Kind kind, size_t length) {
    Token token{.kind = kind, .offset = at_, .text = text_.substr(at_, length)};
    at_ += length;
    return token;
  }

  Token next() {
    if (at_ == text_.size()) {
      return take(Token::Kind::End, 0);
    }
    if (is_letter(peek())) {
      size_t length = 1;
      while (is_letter(peek(length)) || is_digit(peek(length))) {
        ++length;
      }
      if (length > kMaxNameBytes) {
        source_.fail(
            at_,
            length,
            fmt::format(
                "a name of {} letters; at most {} are read",
                length,
                kMaxNameBytes));
      }
      return take(Token::Kind::Name, length);
    }
    if (is_digit(peek()) || (peek() == '.' && is_digit(peek(1)))) {
      return number();
    }
    return mark();
  }

  Token mark() {
    std::string_view rest = text_.substr(at_);
    if (rest.starts_with("//")) {
      source_.fail(
          at_,
          2,
          "'//' is no operator; for the quotient rounded down write "
          "floor(a / b)");
    }
    if (rest.starts_with("/*")) {
      source_.fail(at_, 2, "a formula holds no comments");
    }
    for (std::string_view mark : kMarks) {
      if (rest.starts_with(mark)) {
        return take(Token::Kind::Mark, mark.size());
      }
    }
    if (rest[0] == ';' || rest[0] == '~') {
      return take(Token::Kind::Mark, 1);
    }
    illegal();
  }

  [[noreturn]] void illegal() {
    std::string_view rest = text_.substr(at_);
    for (auto [typed, meant] : kTyped) {
      if (rest.starts_with(typed)) {
        source_.fail(
            at_,
            1,
            fmt::format("'{}' is no operator; write '{}'", typed, meant));
      }
    }
    auto byte = static_cast<unsigned char>(rest[0]);
    bool shown = byte > 0x20 && byte < 0x7F;
    source_.fail(
        at_,
        1,
        fmt::format(
            "the character {} has no place in a formula{}",
            shown ? fmt::format("'{}'", rest[0]) : code_point(rest),
            rest[0] == '[' ? "; for element i of a row write pick(x, i)" : ""));
  }

  // "U+03B1", or "0xFF" for a byte that starts no character.
  static std::string code_point(std::string_view rest) {
    auto byte = static_cast<unsigned char>(rest[0]);
    size_t length = byte < 0x80 ? 1
        : byte >= 0xF0          ? 4
        : byte >= 0xE0          ? 3
        : byte >= 0xC0          ? 2
                                : 0;
    uint32_t point = length == 1 ? byte : byte & (0xFFu >> (length + 1));
    for (size_t i = 1; i < length; ++i) {
      if (i >= rest.size() || !continues_character(rest[i])) {
        length = 0;
        break;
      }
      point = point << 6 | (static_cast<unsigned char>(rest[i]) & 0x3Fu);
    }
    return length == 0 ? fmt::format("0x{:02X}", byte)
                       : fmt::format("U+{:04X}", point);
  }

  size_t count_digits(size_t from) const {
    size_t count = 0;
    while (is_digit(peek(from + count))) {
      ++count;
    }
    return count;
  }

  Token number() {
    if (peek() == '0' && (peek(1) == 'x' || peek(1) == 'X')) {
      return hexadecimal();
    }
    size_t length = count_digits(0);
    bool integer = true;
    if (peek(length) == '.') {
      integer = false;
      length += 1 + count_digits(length + 1);
    }
    if (peek(length) == 'e' || peek(length) == 'E') {
      size_t sign = peek(length + 1) == '+' || peek(length + 1) == '-' ? 1 : 0;
      size_t digits = count_digits(length + 1 + sign);
      if (digits == 0) {
        source_.fail(at_, length + 1 + sign, "expected digits in the exponent");
      }
      integer = false;
      length += 1 + sign + digits;
    }
    return finish(length, integer);
  }

  Token hexadecimal() {
    size_t length = 2;
    while (std::isxdigit(static_cast<unsigned char>(peek(length)))) {
      ++length;
    }
    uint64_t bits = 0;
    auto [end, fault] = std::from_chars(
        text_.data() + at_ + 2, text_.data() + at_ + length, bits, 16);
    if (fault != std::errc() || bits > uint64_t{1} << 53) {
      source_.fail(
          at_, length, "expected hexadecimal digits, for at most 2^53");
    }
    Token token = take(Token::Kind::Number, length);
    token.value = static_cast<double>(bits);
    token.integer = true;
    skip_suffix(token, "uUlL");
    return token;
  }

  Token finish(size_t length, bool integer) {
    const char* begin = text_.data() + at_;
    double value = 0;
    auto [end, fault] = std::from_chars(begin, begin + length, value);
    if (fault != std::errc()) {
      source_.fail(at_, length, "the number is out of the range of a double");
    }
    uint64_t whole = 0;
    auto parsed = std::from_chars(begin, begin + length, whole);
    bool exact = parsed.ec == std::errc() && value < 0x1p64 &&
        static_cast<uint64_t>(value) == whole;
    if (integer && !exact) {
      source_.fail(
          at_,
          length,
          "the integer is too large to be held exactly; with a point it is "
          "a float");
    }
    Token token = take(Token::Kind::Number, length);
    token.value = value;
    token.integer = integer;
    skip_suffix(token, integer ? "uUlLfFhH" : "fFhH");
    return token;
  }

  // C's suffixes: f and h make a float of any number.
  void skip_suffix(Token& token, std::string_view suffixes) {
    size_t length = 0;
    while (suffixes.find(peek(length)) != std::string_view::npos &&
           peek(length) != '\0') {
      char c = peek(length++);
      token.integer = token.integer &&
          std::string_view("uUlL").find(c) != std::string_view::npos;
    }
    if (is_letter(peek(length)) || is_digit(peek(length)) ||
        peek(length) == '.') {
      source_.fail(
          at_ + length,
          1,
          fmt::format(
              "expected an operator after the number {}{}",
              shown(token.text),
              is_letter(peek(length)) ? "; to multiply write '*'" : ""));
    }
    at_ += length;
  }

  const Source& source_;
  std::string_view text_;
  size_t at_ = 0;
};

} // namespace

std::vector<Token> tokenize(const Source& source) {
  return Tokenizer(source).run();
}

std::string describe(const Token& token) {
  return token.kind == Token::Kind::End
      ? "the end of the formula"
      : fmt::format("'{}'", shown(token.text));
}

bool is_name(std::string_view text) {
  return !text.empty() && is_letter(text[0]) &&
      std::all_of(text.begin(), text.end(), [](char c) {
        return is_letter(c) || is_digit(c);
      });
}

} // namespace zmlx::lang::parse_detail
