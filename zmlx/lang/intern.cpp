#include "zmlx/lang/intern.h"

namespace zmlx::lang {

size_t Interner::KeyHash::operator()(const Key& key) const {
  uint64_t hash = key.size();
  for (uint64_t word : key) {
    hash = mix(hash, word);
  }
  return hash;
}

Interner::Key Interner::key(const Node& node) const {
  Key key;
  const auto add = [&](uint64_t word) { key.push_back(word); };
  std::apply(
      [&](const auto&... field) {
        const auto add_field = [&]<typename T>(const T& value) {
          if constexpr (std::is_same_v<T, std::vector<Expr>>) {
            add(value.size());
            for (const Expr& arg : value) {
              add(static_cast<uint64_t>(of(arg.get())));
            }
          } else {
            for_each_word(value, add);
          }
        };
        (add_field(field), ...);
      },
      node.fields());
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
