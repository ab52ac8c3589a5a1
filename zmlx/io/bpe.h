#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "zmlx/export.h"

namespace zmlx::io {

struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};

/// Token -> id, looked up by string_view.
using Vocabulary =
    std::unordered_map<std::string, int, StringHash, std::equal_to<>>;

/// Byte pair encoding of one word, as Hugging Face's model "BPE" does it: the
/// word's characters, then again and again the neighbouring pair of the lowest
/// rank, the leftmost first, becomes one token. Time n log n in the length of
/// the word.
class ZMLX_API Bpe {
 public:
  struct Options {
    /// A word's units are bytes, spelled as byte_level.h has it.
    bool byte_level = false;
    /// A word that is a token is that token, whatever the merges say.
    bool ignore_merges = false;
    /// A character without a token becomes the tokens <0x00> to <0xFF> of its
    /// bytes.
    bool byte_fallback = false;
    /// The token of other characters without one; without it they are dropped.
    std::optional<int> unknown;
    /// Neighbouring unknown characters become one token.
    bool fuse_unknown = false;
  };

  using Merge = std::pair<std::string, std::string>; // rank: place in the list

  /// UserError naming `who` when a merge or its result is not in the
  /// vocabulary.
  Bpe(const Vocabulary& vocabulary,
      const std::vector<Merge>& merges,
      const Options& options,
      const std::string& who);

  /// Appends the tokens of a word; `vocabulary` is that of the constructor.
  void encode(
      const Vocabulary& vocabulary,
      std::string_view word,
      std::vector<int>& ids) const;

  static std::string byte_token(unsigned char byte); // "<0x0A>"

 private:
  struct Rule {
    uint32_t rank;
    int merged;
  };

  const Rule* find(int left, int right) const;
  void insert(int left, int right, Rule rule);
  void units(
      const Vocabulary& vocabulary,
      std::string_view word,
      std::vector<int>& ids) const;
  bool add_unit(
      const Vocabulary& vocabulary,
      std::string_view unit,
      std::vector<int>& ids) const;
  void merge(std::vector<int>& ids, size_t from) const;

  Options options_;
  std::vector<int> byte_ids_; // of single bytes, -1 without a token
  // An open-addressing table of the pairs: keys are (left, right).
  std::vector<uint64_t> keys_;
  std::vector<Rule> rules_;
};

} // namespace zmlx::io
