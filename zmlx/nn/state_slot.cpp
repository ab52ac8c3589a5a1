#include "zmlx/nn/state_slot.h"

#include <fmt/format.h>

namespace zmlx::nn {

size_t StateSlot::entry_bytes() const {
  size_t bytes = mx::size_of(dtype);
  for (auto length : entry) {
    bytes *= static_cast<size_t>(length);
  }
  return bytes;
}

std::vector<StateSlot> state_slots(const std::vector<KVCacheShape>& caches) {
  std::vector<StateSlot> slots;
  for (size_t i = 0; i < caches.size(); i++) {
    const auto& c = caches[i];
    slots.push_back(
        {fmt::format("keys.{}", i), {c.kv_heads, c.head_dim}, c.dtype});
    slots.push_back(
        {fmt::format("values.{}", i), {c.kv_heads, c.values_dim()}, c.dtype});
  }
  return slots;
}

} // namespace zmlx::nn
