#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <mlx/mlx.h>

#include "zmlx/export.h"
#include "zmlx/nn/fast.h"

namespace zmlx::nn {

/// What one attention layer keeps of the tokens seen so far.
class ZMLX_API KVCache {
 public:
  virtual ~KVCache() = default;

  /// Tokens held, which is the position of the next one.
  virtual Position offset() const = 0;

  /// Appends keys and values (B, H_kv, L, D) and returns what attention reads:
  /// (B, H_kv, S, D) each.
  virtual std::pair<mx::array, mx::array> update_and_fetch(
      const mx::array& keys,
      const mx::array& values) = 0;
};

using Caches = std::vector<std::unique_ptr<KVCache>>;

/// Shape of one layer's cache: keys (1, kv_heads, capacity, head_dim) and
/// values (1, kv_heads, capacity, values_dim()).
struct KVCacheShape {
  int kv_heads;
  int head_dim;
  mx::Dtype dtype = mx::float32;
  int value_head_dim = 0; // 0: as head_dim

  int values_dim() const {
    return value_head_dim > 0 ? value_head_dim : head_dim;
  }
};

/// Grows by blocks of 256 positions, as mlx_lm's KVCache: a new block is
/// concatenated when the old ones are full, keys are written in place.
class ZMLX_API GrowingKVCache : public KVCache {
 public:
  static constexpr int step = 256;

  Position offset() const override;
  std::pair<mx::array, mx::array> update_and_fetch(
      const mx::array& keys,
      const mx::array& values) override;

  int length() const {
    return offset_;
  }
  /// Forgets the last n tokens; UserError when n is not in 0 .. length().
  void trim(int n);
  /// The arrays held; empty before the first token.
  std::vector<mx::array> arrays() const;

 private:
  void grow(const mx::array& keys, const mx::array& values);

  std::optional<mx::array> keys_;
  std::optional<mx::array> values_;
  int offset_ = 0;
};

} // namespace zmlx::nn
