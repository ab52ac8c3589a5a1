#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <mlx/mlx.h>

#include "zmlx/export.h"
#include "zmlx/nn/cache.h"

namespace zmlx::plan {

namespace mx = mlx::core;

/// Zeroed memory of its own, aligned to 64 bytes; pages that are never touched
/// cost nothing.
class ZMLX_API Buffer {
 public:
  Buffer() = default;
  /// EnvironmentError where the system has not as much.
  explicit Buffer(size_t bytes);
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer();

  std::byte* data() const {
    return data_;
  }
  size_t size() const {
    return size_;
  }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// Proof of a position: a step takes the state's ticket and returns the next;
/// a ticket of an earlier position, or of another state, is refused.
struct Ticket {
  const void* state = nullptr;
  uint64_t serial = 0;
  bool operator==(const Ticket&) const = default;
};

/// What a conversation keeps, owned here and changed in place: the caches, one
/// (1, kv_heads, capacity, head_dim) array of keys and one of values a layer,
/// and the position. Nothing of it is an MLX value. Not safe to use from two
/// threads at once.
class ZMLX_API State {
 public:
  State(std::vector<nn::KVCacheShape> shapes, int capacity);
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  int position() const {
    return position_;
  }
  int capacity() const {
    return capacity_;
  }
  Ticket ticket() const {
    return {this, serial_};
  }

  /// Opens a step on `token`: UserError for a ticket that is not the current
  /// one, or where the context is full. The step's kernels read the token and
  /// position from here.
  void begin_step(Ticket ticket, int token);
  /// Closes it: the position moves on.
  Ticket end_step();

  /// Forgets the last n tokens; UserError when n is negative or more than
  /// there are.
  void trim(int n);
  /// The same conversation in memory of its own.
  std::unique_ptr<State> copy() const;
  /// Moves to buffers for `capacity` tokens, at least capacity(); what is bound
  /// to the old ones must be bound again.
  void grow(int capacity);

  /// The buffers of layer i. Valid until grow().
  void* keys(int layer) const {
    return buffers_[2 * layer].data();
  }
  void* values(int layer) const {
    return buffers_[2 * layer + 1].data();
  }
  const std::vector<nn::KVCacheShape>& shapes() const {
    return shapes_;
  }

  const int32_t* token_cell() const {
    return &cells_[0];
  }
  const int32_t* position_cell() const {
    return &cells_[1];
  }
  /// position + 1: how many keys attention reads.
  const int32_t* length_cell() const {
    return &cells_[2];
  }

  /// Keys and values of layer i as MLX arrays (1, kv_heads, position, head_dim)
  /// over the same memory: valid until the state changes.
  std::pair<mx::array, mx::array> view(int layer) const;

  /// Bytes that tokens up to the position take.
  size_t memory_bytes() const;

 private:
  size_t head_bytes(const nn::KVCacheShape& shape, int positions) const;
  void copy_into(std::vector<Buffer>& buffers, int capacity) const;

  std::vector<nn::KVCacheShape> shapes_;
  int capacity_;
  int position_ = 0;
  uint64_t serial_ = 0;
  std::vector<Buffer> buffers_; // keys and values of each layer in turn
  int32_t cells_[3] = {0, 0, 1};
};

} // namespace zmlx::plan
