#include "zmlx/io/bpe.h"

#include <algorithm>
#include <bit>
#include <queue>

#include "zmlx/base/errors.h"
#include "zmlx/io/byte_level.h"
#include "zmlx/io/quote.h"
#include "zmlx/io/unicode.h"

namespace zmlx::io {

namespace {

constexpr uint64_t no_key = ~uint64_t{0};

uint64_t pair_key(int left, int right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 |
      static_cast<uint32_t>(right);
}

/// Fibonacci hashing of the pair into a table of 2^n slots.
size_t slot(uint64_t key, size_t table_size) {
  key ^= key >> 29;
  key *= 0x9E3779B97F4A7C15u;
  return (key >> 32) & (table_size - 1);
}

/// A merge that may be done at a place, unless the place changes before.
struct Candidate {
  uint32_t rank;
  uint32_t place;
  int merged;

  bool operator>(const Candidate& other) const {
    return std::pair(rank, place) > std::pair(other.rank, other.place);
  }
};

/// A token in a list; -1 is no neighbour, and no token for one merged away.
struct Symbol {
  int id;
  int64_t previous;
  int64_t next;
};

} // namespace

Bpe::Bpe(
    const Vocabulary& vocabulary,
    const std::vector<Merge>& merges,
    const Options& options,
    const std::string& who)
    : options_(options) {
  auto size = std::bit_ceil(std::max<size_t>(16, merges.size() * 2));
  keys_.assign(size, no_key);
  rules_.assign(size, {});
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    auto id = [&](const std::string& token) {
      auto it = vocabulary.find(token);
      if (it == vocabulary.end()) {
        throw user_error(
            "{}: merge {} of {} and {} needs the token {}, which is not in the "
            "vocabulary",
            who,
            rank,
            quote(left),
            quote(right),
            quote(token));
      }
      return it->second;
    };
    int left_id = id(left), right_id = id(right), merged = id(left + right);
    insert(left_id, right_id, {static_cast<uint32_t>(rank), merged});
  }
  byte_ids_.assign(256, -1);
  for (int b = 0; b < 256 && options.byte_level; ++b) {
    auto it = vocabulary.find(byte_level_spelling(b));
    byte_ids_[b] = it == vocabulary.end() ? -1 : it->second;
  }
}

void Bpe::insert(int left, int right, Rule rule) {
  auto key = pair_key(left, right);
  auto at = slot(key, keys_.size());
  while (keys_[at] != no_key && keys_[at] != key) {
    at = (at + 1) & (keys_.size() - 1);
  }
  keys_[at] = key;
  rules_[at] = rule;
}

const Bpe::Rule* Bpe::find(int left, int right) const {
  auto key = pair_key(left, right);
  auto at = slot(key, keys_.size());
  while (keys_[at] != no_key) {
    if (keys_[at] == key) {
      return &rules_[at];
    }
    at = (at + 1) & (keys_.size() - 1);
  }
  return nullptr;
}

std::string Bpe::byte_token(unsigned char byte) {
  return fmt::format("<0x{:02X}>", byte);
}

/// False when the unit has no token, not even in bytes.
bool Bpe::add_unit(
    const Vocabulary& vocabulary,
    std::string_view unit,
    std::vector<int>& ids) const {
  if (auto it = vocabulary.find(unit); it != vocabulary.end()) {
    ids.push_back(it->second);
    return true;
  }
  if (!options_.byte_fallback) {
    return false;
  }
  auto size = ids.size();
  for (unsigned char b : unit) {
    auto it = vocabulary.find(byte_token(b));
    if (it == vocabulary.end()) {
      ids.resize(size);
      return false;
    }
    ids.push_back(it->second);
  }
  return true;
}

void Bpe::units(
    const Vocabulary& vocabulary,
    std::string_view word,
    std::vector<int>& ids) const {
  bool after_unknown = false;
  for (size_t at = 0; at < word.size();) {
    auto byte = static_cast<unsigned char>(word[at]);
    int length = options_.byte_level ? 1 : decode_utf8(word, at).length;
    bool known = false;
    if (options_.byte_level && byte_ids_[byte] >= 0) {
      ids.push_back(byte_ids_[byte]);
      known = true;
    } else {
      known = add_unit(
          vocabulary,
          options_.byte_level ? std::string_view(byte_level_spelling(byte))
                              : word.substr(at, length),
          ids);
    }
    if (!known && options_.unknown &&
        !(after_unknown && options_.fuse_unknown)) {
      ids.push_back(*options_.unknown);
    }
    after_unknown = !known;
    at += length;
  }
}

void Bpe::encode(
    const Vocabulary& vocabulary,
    std::string_view word,
    std::vector<int>& ids) const {
  if (options_.ignore_merges) {
    auto it = options_.byte_level ? vocabulary.find(to_byte_level(word))
                                  : vocabulary.find(word);
    if (it != vocabulary.end()) {
      ids.push_back(it->second);
      return;
    }
  }
  auto from = ids.size();
  units(vocabulary, word, ids);
  if (ids.size() - from > 1) {
    merge(ids, from);
  }
}

void Bpe::merge(std::vector<int>& ids, size_t from) const {
  auto count = static_cast<int64_t>(ids.size() - from);
  if (count > UINT32_MAX) {
    throw user_error("a word of {} units is too long to be merged", count);
  }
  std::vector<Symbol> symbols;
  symbols.reserve(count);
  std::vector<Candidate> initial;
  for (int64_t i = 0; i < count; ++i) {
    symbols.push_back({ids[from + i], i - 1, i + 1 < count ? i + 1 : -1});
  }
  auto candidate = [&](int64_t left, int64_t right, auto&& add) {
    if (left >= 0 && right >= 0) {
      if (auto* rule = find(symbols[left].id, symbols[right].id)) {
        add(Candidate{rule->rank, static_cast<uint32_t>(left), rule->merged});
      }
    }
  };
  for (int64_t i = 0; i + 1 < count; ++i) {
    candidate(i, i + 1, [&](Candidate c) { initial.push_back(c); });
  }
  std::priority_queue queue(std::greater<Candidate>(), std::move(initial));
  auto push = [&](Candidate c) { queue.push(c); };
  while (!queue.empty()) {
    auto top = queue.top();
    queue.pop();
    auto& left = symbols[top.place];
    if (left.id < 0 || left.next < 0) {
      continue;
    }
    auto& right = symbols[left.next];
    auto* rule = find(left.id, right.id);
    if (!rule || rule->merged != top.merged) {
      continue; // the place has changed since
    }
    left.id = top.merged;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) {
      symbols[left.next].previous = top.place;
    }
    candidate(left.previous, top.place, push);
    candidate(top.place, left.next, push);
  }
  ids.resize(from);
  for (int64_t i = 0; i >= 0; i = symbols[i].next) {
    ids.push_back(symbols[i].id);
  }
}

} // namespace zmlx::io
