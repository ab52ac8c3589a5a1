#include "zmlx/io/byte_level.h"

#include <array>

#include "zmlx/io/unicode.h"

namespace zmlx::io {

namespace {

/// The characters used lie below 0x144.
constexpr char32_t alphabet_end = 0x144;

struct Alphabet {
  std::array<std::string, 256> spelling;
  std::array<int, alphabet_end> byte_of; // -1: not of the alphabet

  Alphabet() {
    byte_of.fill(-1);
    // Printable Latin-1 spells itself, the rest is counted up from U+0100.
    char32_t next = 0x100;
    for (int b = 0; b < 256; ++b) {
      bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD);
      char32_t code = printable ? static_cast<char32_t>(b) : next++;
      append_utf8(spelling[b], code);
      byte_of[code] = b;
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet the;
  return the;
}

} // namespace

const std::string& byte_level_spelling(unsigned char byte) {
  return alphabet().spelling[byte];
}

std::string to_byte_level(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (unsigned char b : bytes) {
    out += byte_level_spelling(b);
  }
  return out;
}

std::optional<std::string> from_byte_level(std::string_view spelling) {
  std::string out;
  for (size_t at = 0; at < spelling.size();) {
    auto step = decode_utf8(spelling, at);
    int byte = step.valid && step.code < alphabet_end
        ? alphabet().byte_of[step.code]
        : -1;
    if (byte < 0) {
      return std::nullopt;
    }
    out += static_cast<char>(byte);
    at += step.length;
  }
  return out;
}

} // namespace zmlx::io
