#include "zmlx/io/unicode.h"

#include <algorithm>
#include <vector>

#include <utf8proc.h>

#include "zmlx/base/errors.h"

namespace zmlx::io {

namespace {

/// Length of the character that a byte starts, and the range of its second
/// byte (Unicode standard, table 3-7); length 0 when it starts none.
struct Lead {
  int length;
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
};

Lead lead(unsigned char byte) {
  if (byte < 0x80) {
    return {1};
  }
  if (byte < 0xC2 || byte > 0xF4) {
    return {0};
  }
  if (byte < 0xE0) {
    return {2};
  }
  switch (byte) {
    case 0xE0:
      return {3, 0xA0, 0xBF};
    case 0xED:
      return {3, 0x80, 0x9F};
    case 0xF0:
      return {4, 0x90, 0xBF};
    case 0xF4:
      return {4, 0x80, 0x8F};
    default:
      return {byte < 0xF0 ? 3 : 4};
  }
}

bool is_ascii(std::string_view text) {
  return std::all_of(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x80; });
}

int combining_class(utf8proc_int32_t code) {
  return utf8proc_get_property(code)->combining_class;
}

/// Full decomposition of one character, appended.
void decompose(
    char32_t code,
    utf8proc_option_t options,
    std::vector<utf8proc_int32_t>& out) {
  // The longest decomposition (U+FDFA) has 18 characters.
  utf8proc_int32_t buffer[32];
  int boundary = 0;
  auto n = utf8proc_decompose_char(
      static_cast<utf8proc_int32_t>(code), buffer, 32, options, &boundary);
  if (n < 0 || n > 32) {
    throw internal_error(
        "utf8proc cannot decompose U+{:04X}", static_cast<uint32_t>(code));
  }
  out.insert(out.end(), buffer, buffer + n);
}

/// Canonical order: marks between two starters, sorted by class, equals kept.
/// utf8proc's own loop is quadratic in the length of such a run.
void order_marks(std::vector<utf8proc_int32_t>& codes) {
  auto is_starter = [](utf8proc_int32_t c) { return combining_class(c) == 0; };
  for (auto begin = codes.begin(); begin != codes.end();) {
    begin = std::find_if_not(begin, codes.end(), is_starter);
    auto end = std::find_if(begin, codes.end(), is_starter);
    std::stable_sort(begin, end, [](auto a, auto b) {
      return combining_class(a) < combining_class(b);
    });
    begin = end;
  }
}

struct Range {
  char32_t first;
  char32_t last;
};

// Other_Alphabetic outside the marks: circled, squared letters.
constexpr Range alphabetic_symbols[] = {
    {0x24B6, 0x24E9},
    {0x1F130, 0x1F149},
    {0x1F150, 0x1F169},
    {0x1F170, 0x1F189}};

} // namespace

Utf8Step decode_utf8(std::string_view text, size_t at) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  auto [length, low, high] = lead(byte(at));
  Utf8Step step;
  if (length == 0) {
    return step;
  }
  constexpr unsigned char masks[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  char32_t code = byte(at) & masks[length];
  for (int i = 1; i < length; ++i) {
    step.length = i;
    if (at + i >= text.size()) {
      step.truncated = true;
      return step;
    }
    auto next = byte(at + i);
    if (next < low || next > high) {
      return step;
    }
    low = 0x80;
    high = 0xBF;
    code = (code << 6) | (next & 0x3F);
  }
  return {code, length, true, false};
}

size_t find_invalid_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    auto step = decode_utf8(text, at);
    if (!step.valid) {
      return at;
    }
    at += step.length;
  }
  return std::string_view::npos;
}

void append_utf8(std::string& text, char32_t code) {
  utf8proc_uint8_t buffer[4];
  auto n = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code), buffer);
  text.append(reinterpret_cast<char*>(buffer), n);
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    auto step = decode_utf8(text, at);
    if (step.valid) {
      out.append(text, at, step.length);
    } else {
      append_utf8(out, U'\uFFFD');
    }
    at += step.length;
  }
  return out;
}

bool is_white_space(char32_t code) {
  switch (code) {
    case 0x20:
    case 0x85:
    case 0xA0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202F:
    case 0x205F:
    case 0x3000:
      return true;
    default:
      return (code >= 0x9 && code <= 0xD) || (code >= 0x2000 && code <= 0x200A);
  }
}

bool is_numeric(char32_t code) {
  if (code < 0x80) {
    return code >= U'0' && code <= U'9';
  }
  auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  return category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL ||
      category == UTF8PROC_CATEGORY_NO;
}

bool is_word(char32_t code) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      break;
  }
  constexpr char32_t zero_width_non_joiner = 0x200C, zero_width_joiner = 0x200D;
  return code == zero_width_non_joiner || code == zero_width_joiner ||
      std::any_of(
             std::begin(alphabetic_symbols),
             std::end(alphabetic_symbols),
             [&](Range r) { return code >= r.first && code <= r.last; });
}

std::string
normalize_utf8(std::string_view text, bool compose, bool compatibility) {
  if (is_ascii(text)) {
    return std::string(text);
  }
  int options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE |
      (compatibility ? UTF8PROC_COMPAT : 0);
  std::vector<utf8proc_int32_t> codes;
  codes.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    auto step = decode_utf8(text, at);
    decompose(step.code, static_cast<utf8proc_option_t>(options), codes);
    at += step.length;
  }
  order_marks(codes);
  auto count = static_cast<utf8proc_ssize_t>(codes.size());
  if (compose) {
    count = utf8proc_normalize_utf32(
        codes.data(),
        count,
        static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    if (count < 0) {
      throw internal_error("utf8proc: {}", utf8proc_errmsg(count));
    }
  }
  std::string out;
  out.reserve(text.size());
  for (utf8proc_ssize_t i = 0; i < count; ++i) {
    append_utf8(out, static_cast<char32_t>(codes[i]));
  }
  return out;
}

std::string lowercase_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    auto step = decode_utf8(text, at);
    if (step.code == 0x130) {
      out += "i\xCC\x87"; // the one lower case that is two characters
    } else {
      append_utf8(
          out, utf8proc_tolower(static_cast<utf8proc_int32_t>(step.code)));
    }
    at += step.length;
  }
  return out;
}

} // namespace zmlx::io
