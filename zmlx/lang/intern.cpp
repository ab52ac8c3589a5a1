#include "zmlx/lang/intern.h"

#include <bit>

namespace zmlx::lang {
namespace {

uint64_t pair(int low, int high) {
  return static_cast<uint32_t>(low) |
      static_cast<uint64_t>(static_cast<uint32_t>(high)) << 32;
}

} // namespace

size_t Interner::KeyHash::operator()(const Key& key) const {
  uint64_t hash = key.size();
  for (uint64_t word : key) {
    hash = (hash ^ word) * 0x9E3779B97F4A7C15ull;
    hash ^= hash >> 29;
  }
  return hash;
}

Interner::Key Interner::key(const Node& node) const {
  const Weight& w = node.weight;
  Key key;
  key.reserve(6 + node.args.size());
  key.push_back(
      static_cast<uint64_t>(node.op) | static_cast<uint64_t>(node.type) << 8);
  key.push_back(std::bit_cast<uint64_t>(node.value));
  key.push_back(pair(node.input, static_cast<int>(w.format)));
  key.push_back(pair(w.bits, w.group_size));
  key.push_back(pair(w.w, w.scales));
  key.push_back(pair(w.biases, 0));
  for (const Expr& arg : node.args) {
    key.push_back(static_cast<uint64_t>(of(arg.get())));
  }
  return key;
}

int Interner::number(const Expr& root) {
  for (const Node* node : postorder({root})) {
    if (!by_node_.contains(node)) {
      auto [entry, added] =
          by_key_.try_emplace(key(*node), static_cast<int>(by_key_.size()));
      by_node_.emplace(node, entry->second);
    }
  }
  return of(root.get());
}

} // namespace zmlx::lang
