#include "zmlx/io/normalizer.h"

#include "zmlx/io/unicode.h"

namespace zmlx::io {

namespace {

std::string run_step(Normalizer::Form form, const std::string& text) {
  using Form = Normalizer::Form;
  return normalize_utf8(
      text,
      form == Form::nfc || form == Form::nfkc,
      form == Form::nfkc || form == Form::nfkd);
}

std::string run_step(const Normalizer::Lowercase&, const std::string& text) {
  return lowercase_utf8(text);
}

std::string run_step(
    const Normalizer::Prepend& prepend,
    const std::string& text) {
  return text.empty() ? text : prepend.text + text;
}

std::string run_step(
    const Normalizer::Replace& replace,
    const std::string& text) {
  std::vector<Span> matches;
  replace.pattern.find_all(text, matches);
  std::string out;
  out.reserve(text.size());
  size_t at = 0;
  for (auto [begin, end] : matches) {
    out.append(text, at, begin - at);
    out += replace.content;
    at = end;
  }
  out.append(text, at);
  return out;
}

std::string run_step(const Normalizer::Strip& strip, const std::string& text) {
  size_t begin = text.size(), end = 0;
  for (size_t at = 0; at < text.size();) {
    auto step = decode_utf8(text, at);
    if (!is_white_space(step.code)) {
      begin = std::min(begin, at);
      end = at + step.length;
    }
    at += step.length;
  }
  begin = strip.left ? begin : 0;
  end = strip.right ? end : text.size();
  return begin < end ? text.substr(begin, end - begin) : std::string();
}

} // namespace

std::string Normalizer::operator()(std::string_view text) const {
  std::string out(text);
  for (const auto& step : steps) {
    out = std::visit([&](const auto& s) { return run_step(s, out); }, step);
  }
  return out;
}

} // namespace zmlx::io
