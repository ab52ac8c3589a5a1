#include "zmlx/io/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "zmlx/base/errors.h"
#include "zmlx/io/quote.h"
#include "zmlx/io/unicode.h"

namespace zmlx::io {

namespace {

/// Rewrites an expression of Oniguruma for PCRE2 so that both match the same,
/// and refuses what would not.
class Translation {
 public:
  Translation(std::string_view in, const std::string& who)
      : in_(in), who_(who) {}

  std::string run() {
    while (at_ < in_.size()) {
      char c = in_[at_];
      if (c == '\\') {
        escape();
      } else if (in_class_) {
        class_char(c);
      } else if (c == '[') {
        open_class();
      } else if (c == '(') {
        group();
      } else if (c == '{' && peek(1) == ',') {
        refuse("{,n}");
      } else if (c == '}' && peek(1) == '+') {
        refuse("{n}+");
      } else {
        copy(1);
      }
    }
    return std::move(out_);
  }

 private:
  char peek(size_t ahead) const {
    return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0';
  }

  void copy(size_t n) {
    out_ += in_.substr(at_, n);
    at_ += n;
  }

  void put(std::string_view text, size_t consumed) {
    out_ += text;
    at_ += consumed;
  }

  [[noreturn]] void refuse(std::string_view what) const {
    throw user_error(
        "{}: {} at byte {} of the expression {} is not understood",
        who_,
        what,
        at_,
        quote(in_));
  }

  void escape() {
    // Members of \\w, as Oniguruma has them: of the numbers that are not
    // decimal those of Latin-1 only.
    static constexpr std::string_view word =
        "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\xb2\\xb3\\xb9\\xbc-\\xbe";
    char c = peek(1);
    switch (c) {
      case 's': // PCRE2's own takes U+180E too
        return put("\\p{White_Space}", 2);
      case 'S':
        return put("\\P{White_Space}", 2);
      case 'd':
        return put("\\p{Nd}", 2);
      case 'D':
        return put("\\P{Nd}", 2);
      case 'w':
        return put(
            in_class_ ? std::string(word) : "[" + std::string(word) + "]", 2);
      case 'W':
        if (in_class_) {
          refuse("\\W in a class");
        }
        return put("[^" + std::string(word) + "]", 2);
      case 'v': // a class of its own in PCRE2
        return put("\\x0b", 2);
      case 'u':
        return unicode_escape();
      case 'x':
        if (peek(2) != '{' && (peek(2) < '0' || peek(2) > '7')) {
          refuse("a byte above \\x7f");
        }
        return braced_escape();
      case 'p':
      case 'P':
        return braced_escape();
      case 'n':
      case 'r':
      case 't':
      case 'f':
      case 'a':
      case 'e':
        return copy(2);
      case 'A':
      case 'z':
      case 'Z':
        if (in_class_) {
          refuse("an anchor in a class");
        }
        return copy(2);
      default:
        break;
    }
    bool letter_or_digit = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
        (c >= '0' && c <= '9');
    if (c == '\0' || letter_or_digit) {
      refuse(std::string("\\") + (c == '\0' ? "" : std::string(1, c)));
    }
    copy(2);
  }

  /// \p{...}, \x{...}, or these without braces.
  void braced_escape() {
    auto end = peek(2) == '{' ? in_.find('}', at_) : at_ + 1;
    if (end == in_.npos) {
      refuse("an open brace");
    }
    copy(end + 1 - at_);
  }

  void unicode_escape() {
    auto digits = in_.substr(at_ + 2, 4);
    if (digits.size() != 4 ||
        digits.find_first_not_of("0123456789abcdefABCDEF") != digits.npos) {
      refuse("\\u without four hexadecimal digits");
    }
    put("\\x{" + std::string(digits) + "}", 6);
  }

  void open_class() {
    copy(peek(1) == '^' ? 2 : 1);
    in_class_ = true;
    if (peek(0) == ']') {
      refuse("an empty class");
    }
  }

  void class_char(char c) {
    if (c == '[') {
      refuse("a class within a class");
    }
    if (c == '&' && peek(1) == '&') {
      refuse("&&");
    }
    in_class_ = c != ']';
    copy(1);
  }

  void group() {
    if (peek(1) != '?') {
      return copy(1);
    }
    auto rest = in_.substr(at_ + 2);
    for (std::string_view known :
         {":", "=", "!", ">", "<=", "<!", "i:", "i)", "-i:", "-i)"}) {
      if (rest.starts_with(known)) {
        return copy(2 + known.size());
      }
    }
    refuse("(?" + std::string(rest.substr(0, 1)));
  }

  std::string_view in_;
  const std::string& who_;
  std::string out_;
  size_t at_ = 0;
  bool in_class_ = false;
};

std::string message(int error) {
  PCRE2_UCHAR text[256] = {};
  pcre2_get_error_message(error, text, sizeof(text));
  return reinterpret_cast<char*>(text);
}

template <auto free>
struct Free {
  template <typename T>
  void operator()(T* p) const {
    free(p);
  }
};

/// What a match needs and may not share with other threads.
struct Scratch {
  std::unique_ptr<pcre2_match_data, Free<pcre2_match_data_free>> data{
      pcre2_match_data_create(1, nullptr)};
  std::unique_ptr<pcre2_match_context, Free<pcre2_match_context_free>> context{
      pcre2_match_context_create(nullptr)};
  std::unique_ptr<pcre2_jit_stack, Free<pcre2_jit_stack_free>> stack{
      pcre2_jit_stack_create(size_t{32} << 10, size_t{16} << 20, nullptr)};

  Scratch() {
    if (!data || !context) {
      throw environment_error("PCRE2: out of memory");
    }
    // One step back in a run of a million blanks is one unit of this.
    pcre2_set_match_limit(context.get(), 200'000'000);
    if (stack) {
      pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
    }
  }
};

Scratch& scratch() {
  thread_local Scratch own;
  return own;
}

} // namespace

struct Pattern::Code {
  std::unique_ptr<pcre2_code, Free<pcre2_code_free>> compiled;
  std::string who;
  std::string expression;
};

Pattern Pattern::literal(std::string text, const std::string& who) {
  if (text.empty()) {
    throw user_error("{}: the pattern is empty", who);
  }
  Pattern pattern;
  pattern.literal_ = std::move(text);
  return pattern;
}

Pattern Pattern::regex(std::string_view expression, const std::string& who) {
  auto translated = Translation(expression, who).run();
  std::unique_ptr<pcre2_compile_context, Free<pcre2_compile_context_free>>
      context(pcre2_compile_context_create(nullptr));
  if (!context) {
    throw environment_error("PCRE2: out of memory");
  }
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE place = 0;
  auto code = std::make_shared<Code>();
  // In Ruby's syntax ^ and $ always mean lines.
  code->compiled.reset(pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(translated.data()),
      translated.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
      &error,
      &place,
      context.get()));
  if (!code->compiled) {
    throw user_error(
        "{}: the expression {} is not understood: {}",
        who,
        quote(expression),
        message(error));
  }
  // Where code may not be generated, PCRE2 interprets: the result is the same.
  pcre2_jit_compile(code->compiled.get(), PCRE2_JIT_COMPLETE);
  code->who = who;
  code->expression = expression;
  Pattern pattern;
  pattern.code_ = std::move(code);
  return pattern;
}

void Pattern::find_all(std::string_view text, std::vector<Span>& matches)
    const {
  matches.clear();
  if (!code_) {
    for (size_t at = text.find(literal_); at != text.npos;
         at = text.find(literal_, at + literal_.size())) {
      matches.push_back({at, at + literal_.size()});
    }
    return;
  }
  auto& own = scratch();
  auto* code = code_->compiled.get();
  auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  for (size_t at = 0; at <= text.size();) {
    auto match = [&](uint32_t options) {
      return pcre2_match(
          code,
          subject,
          text.size(),
          at,
          PCRE2_NO_UTF_CHECK | options,
          own.data.get(),
          own.context.get());
    };
    int found = match(0);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
      found = match(PCRE2_NO_JIT);
    }
    if (found == PCRE2_ERROR_NOMATCH) {
      return;
    }
    if (found < 0) {
      throw user_error(
          "{}: the expression {} gave up at byte {} of a text of {} bytes: {}",
          code_->who,
          quote(code_->expression),
          at,
          text.size(),
          message(found));
    }
    auto* ends = pcre2_get_ovector_pointer(own.data.get());
    Span span{ends[0], ends[1]};
    bool empty = span.begin == span.end;
    if (empty && !matches.empty() && matches.back().end == span.end) {
      at += at < text.size() ? decode_utf8(text, at).length : 1;
      continue;
    }
    matches.push_back(span);
    at = span.end;
  }
}

} // namespace zmlx::io
