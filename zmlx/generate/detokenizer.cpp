#include "zmlx/generate/detokenizer.h"

#include "zmlx/io/unicode.h"

namespace zmlx::generate {

Detokenizer::Detokenizer(io::Tokenizer tokenizer, bool skip_special)
    : tokenizer_(std::move(tokenizer)),
      skip_special_(skip_special),
      spaces_to_drop_(tokenizer_.leading_spaces_dropped()) {}

std::string Detokenizer::add(int token) {
  if (skip_special_ && tokenizer_.is_special(token)) {
    return {};
  }
  pending_ += tokenizer_.token_bytes(token);
  size_t complete = 0;
  while (complete < pending_.size()) {
    auto step = io::decode_utf8(pending_, complete);
    if (step.truncated) {
      break;
    }
    complete += step.length;
  }
  return emit(complete);
}

std::string Detokenizer::flush() {
  auto rest = emit(pending_.size());
  spaces_to_drop_ = tokenizer_.leading_spaces_dropped();
  return rest;
}

std::string Detokenizer::emit(size_t complete) {
  auto text =
      io::replace_invalid_utf8(std::string_view(pending_).substr(0, complete));
  pending_.erase(0, complete);
  size_t dropped = 0;
  while (spaces_to_drop_ > 0 && dropped < text.size()) {
    if (text[dropped] != ' ') {
      spaces_to_drop_ = 0;
      break;
    }
    --spaces_to_drop_;
    ++dropped;
  }
  return text.substr(dropped);
}

} // namespace zmlx::generate
