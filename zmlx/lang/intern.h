#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "zmlx/lang/expr.h"

namespace zmlx::lang {

/// Numbers for structures: nodes that are equal (operation, numbers of the
/// operands, everything else a node holds) get one number, counted from 0 in
/// the order in which they are first seen.
class Interner {
 public:
  /// The number of the structure of `root`, and of all below it.
  int number(const Expr& root);
  /// The number of a node that was numbered before.
  int of(const Node* node) const {
    return by_node_.at(node);
  }
  size_t size() const {
    return by_key_.size();
  }

  using Key = std::vector<uint64_t>;
  /// Everything that a node holds, its operands by their numbers: equal
  /// exactly for equal structures of one numbering.
  Key key(const Node& node) const;

 private:
  struct KeyHash {
    size_t operator()(const Key& key) const;
  };

  std::unordered_map<const Node*, int> by_node_;
  std::unordered_map<Key, int, KeyHash> by_key_;
};

} // namespace zmlx::lang
