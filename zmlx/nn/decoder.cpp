#include "zmlx/nn/decoder.h"

#include "zmlx/base/errors.h"

namespace zmlx::nn {

void check_capacity(const DecoderShape& shape, int capacity) {
  if (capacity < 1) {
    throw user_error("capacity must be at least 1 token, got {}", capacity);
  }
  uint64_t bytes = 0;
  for (const auto& cache : shape.caches) {
    const int dims = cache.head_dim + cache.values_dim();
    bytes += uint64_t{1} * cache.kv_heads * dims * cache.dtype.size();
  }
  bytes *= static_cast<uint64_t>(capacity);
  if (bytes > mx::get_memory_limit()) {
    throw user_error(
        "a context of {} tokens takes {} MiB, more than the {} MiB that this "
        "machine gives",
        capacity,
        bytes >> 20,
        mx::get_memory_limit() >> 20);
  }
}

} // namespace zmlx::nn
