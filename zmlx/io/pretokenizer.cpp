#include "zmlx/io/pretokenizer.h"

#include <algorithm>
#include <deque>
#include <string>

#include "zmlx/io/unicode.h"

namespace zmlx::io {

namespace {

using Pieces = std::vector<std::string_view>;
using Behavior = PreTokenizer::Behavior;

/// A stretch of a text, and whether a pattern matched it.
struct Stretch {
  size_t begin;
  size_t end;
  bool match;
};

/// The whole text as matches and what lies between them.
std::vector<Stretch> stretches(
    std::string_view text,
    const std::vector<Span>& matches) {
  std::vector<Stretch> out;
  size_t at = 0;
  for (auto [begin, end] : matches) {
    if (at < begin) {
      out.push_back({at, begin, false});
    }
    out.push_back({begin, end, true});
    at = end;
  }
  if (at < text.size()) {
    out.push_back({at, text.size(), false});
  }
  return out;
}

/// Joins neighbours: `joins(left, right)` are original stretches.
template <typename Joins>
std::vector<Stretch> joined(const std::vector<Stretch>& in, Joins joins) {
  std::vector<Stretch> out;
  for (size_t i = 0; i < in.size(); ++i) {
    if (i > 0 && joins(in[i - 1], in[i])) {
      out.back().end = in[i].end;
    } else {
      out.push_back(in[i]);
    }
  }
  return out;
}

void cut(
    std::string_view text,
    std::vector<Stretch> parts,
    Behavior behavior,
    Pieces& out) {
  switch (behavior) {
    case Behavior::removed:
      std::erase_if(parts, [](const Stretch& s) { return s.match; });
      break;
    case Behavior::isolated:
      break;
    case Behavior::contiguous:
      parts = joined(parts, [](const Stretch& a, const Stretch& b) {
        return a.match == b.match;
      });
      break;
    case Behavior::merged_with_previous:
      parts = joined(parts, [](const Stretch& a, const Stretch& b) {
        return b.match && !a.match;
      });
      break;
    case Behavior::merged_with_next:
      parts = joined(parts, [](const Stretch& a, const Stretch& b) {
        return a.match && !b.match;
      });
      break;
  }
  for (const auto& part : parts) {
    if (part.begin < part.end) {
      out.push_back(text.substr(part.begin, part.end - part.begin));
    }
  }
}

/// One run of the steps over one text.
class Run {
 public:
  void operator()(const PreTokenizer::Split& split) {
    each([&](std::string_view piece) {
      split.pattern.find_all(piece, matches_);
      auto parts = stretches(piece, matches_);
      if (split.invert) {
        for (auto& part : parts) {
          part.match = !part.match;
        }
      }
      cut(piece, std::move(parts), split.behavior, next_);
    });
  }

  void operator()(const PreTokenizer::Digits& digits) {
    auto behavior =
        digits.individual ? Behavior::isolated : Behavior::contiguous;
    each([&](std::string_view piece) {
      matches_.clear();
      for (size_t at = 0; at < piece.size();) {
        auto step = decode_utf8(piece, at);
        if (is_numeric(step.code)) {
          matches_.push_back({at, at + step.length});
        }
        at += step.length;
      }
      if (matches_.empty()) {
        next_.push_back(piece);
      } else {
        cut(piece, stretches(piece, matches_), behavior, next_);
      }
    });
  }

  void operator()(const PreTokenizer::PrefixSpace&) {
    each([&](std::string_view piece) {
      if (!piece.starts_with(' ')) {
        piece = prefixed_.emplace_back(" ").append(piece);
      }
      next_.push_back(piece);
    });
  }

  Pieces pieces;

 private:
  template <typename F>
  void each(F make_pieces) {
    next_.clear();
    for (auto piece : pieces) {
      make_pieces(piece);
    }
    pieces.swap(next_);
  }

  Pieces next_;
  std::vector<Span> matches_;
  std::deque<std::string> prefixed_; // what pieces point into
};

} // namespace

void PreTokenizer::add_byte_level(bool add_prefix_space, bool use_regex) {
  if (add_prefix_space) {
    steps.emplace_back(PrefixSpace{});
  }
  if (use_regex) {
    steps.emplace_back(
        Split{Pattern::regex(gpt2_words, "ByteLevel"), Behavior::isolated});
  }
  byte_level = true;
}

void PreTokenizer::split(
    std::string_view text,
    const std::function<void(std::string_view word)>& visit) const {
  if (text.empty()) {
    return;
  }
  Run run;
  run.pieces = {text};
  for (const auto& step : steps) {
    std::visit(run, step);
  }
  for (auto word : run.pieces) {
    visit(word);
  }
}

} // namespace zmlx::io
