#include "zmlx/io/added_tokens.h"

#include <algorithm>

#include "zmlx/base/errors.h"
#include "zmlx/io/unicode.h"

namespace zmlx::io {

namespace {

/// Start of the character that ends before `end`.
size_t step_back(std::string_view text, size_t end) {
  do {
    --end;
  } while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
  return end;
}

bool is_alone(std::string_view text, size_t begin, size_t end) {
  bool word_before =
      begin > 0 && is_word(decode_utf8(text, step_back(text, begin)).code);
  bool word_after = end < text.size() && is_word(decode_utf8(text, end).code);
  return !word_before && !word_after;
}

} // namespace

void AddedTokens::add(const AddedToken& token, std::string_view content) {
  if (content.empty() || content.size() > max_content) {
    throw internal_error(
        "an added token of {} bytes came unchecked", content.size());
  }
  uint32_t node = 0;
  for (char c : content) {
    auto [it, is_new] = nodes_[node].next.try_emplace(c, nodes_.size());
    node = it->second;
    if (is_new) {
      nodes_.emplace_back();
    }
  }
  nodes_[node].token = static_cast<int>(tokens_.size());
  tokens_.push_back(token);
}

std::pair<int, size_t> AddedTokens::longest(std::string_view text, size_t at)
    const {
  std::pair<int, size_t> best{-1, at};
  uint32_t node = 0;
  for (size_t i = at; i < text.size(); ++i) {
    auto it = nodes_[node].next.find(text[i]);
    if (it == nodes_[node].next.end()) {
      break;
    }
    node = it->second;
    if (nodes_[node].token >= 0) {
      best = {nodes_[node].token, i + 1};
    }
  }
  return best;
}

std::vector<AddedTokens::Piece> AddedTokens::split(
    std::string_view text) const {
  std::vector<Piece> pieces;
  size_t taken = 0; // everything before is in a piece
  for (size_t at = 0; at < text.size();) {
    auto [index, match_end] = longest(text, at);
    if (index < 0) {
      ++at;
      continue;
    }
    const auto& token = tokens_[index];
    auto begin = at, end = match_end;
    at = match_end;
    if (token.single_word && !is_alone(text, begin, end)) {
      continue;
    }
    while (token.lstrip && begin > taken) {
      auto before = step_back(text, begin);
      if (!is_white_space(decode_utf8(text, before).code)) {
        break;
      }
      begin = before;
    }
    while (token.rstrip && end < text.size()) {
      auto step = decode_utf8(text, end);
      if (!is_white_space(step.code)) {
        break;
      }
      end += step.length;
    }
    if (taken < begin) {
      pieces.push_back({{taken, begin}, -1});
    }
    if (token.lstrip && begin < taken) {
      begin = taken; // the token before took these blanks
    }
    if (begin < end) {
      pieces.push_back({{begin, end}, token.id});
    }
    taken = end;
  }
  if (taken < text.size()) {
    pieces.push_back({{taken, text.size()}, -1});
  }
  return pieces;
}

} // namespace zmlx::io
