#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <mlx/mlx.h>

#include "zmlx/backend/backend.h"
#include "zmlx/export.h"
#include "zmlx/nn/state_slot.h"
#include "zmlx/plan/cells.h"

namespace zmlx::plan {

namespace mx = mlx::core;

/// Proof of a position: a step takes the state's ticket and returns the next;
/// a ticket of an earlier position, or of another state, is refused.
struct Ticket {
  const void* state = nullptr;
  uint64_t serial = 0;
  bool operator==(const Ticket&) const = default;
};

/// What a conversation keeps, owned here, in the memory of a peer, and changed
/// in place: one array a slot, and the cells. Nothing of it is an MLX value.
/// Memory for `capacity` tokens is reserved at once; on a peer whose untouched
/// pages cost nothing it is taken as tokens come. Strides never change, so what
/// is bound to a state stays bound. Not safe to use from two threads at once.
///
/// Storage of a slot, row-major: Keeps::All (capacity, entry...), Window
/// (window, entry...), Latest (2, entry...): the entry after p tokens is number
/// p % 2, so that one step back is exact.
class ZMLX_API State {
 public:
  /// UserError for a capacity below 1; EnvironmentError without memory.
  State(
      const backend::Peer& peer,
      std::vector<nn::StateSlot> slots,
      int capacity);
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

  /// Opens a step: writes the cells. The token is `token`, or without one the
  /// int32 or uint32 at `token_at`, in the order of the queue. UserError for a
  /// ticket that is not the current one, or where the context is full.
  void begin_step(
      Ticket ticket,
      std::optional<int> token,
      backend::Address token_at = {});
  /// Closes it: the position moves on.
  Ticket end_step();

  /// Forgets the last n tokens. UserError, with nothing changed, when n is
  /// negative or more than there are, or where a slot has not kept what it held
  /// then: Latest goes back one step, and one more only after another step;
  /// Window does not go back once its places have been written over. All goes
  /// back to the beginning.
  void trim(int n);
  /// The same conversation in memory of its own.
  std::unique_ptr<State> copy() const;

  const std::vector<nn::StateSlot>& slots() const {
    return slots_;
  }
  const Cells& cells() const {
    return cells_;
  }
  backend::Address slot(int number) const {
    return memory_[number].address;
  }
  backend::Address cell(int number) const {
    return cell_memory_.address +
        number * static_cast<int64_t>(sizeof(int32_t));
  }
  /// Does what concerns this conversation, in order.
  backend::Queue& queue() const {
    return *queue_;
  }

  /// A copy of what a slot holds: (position, entry...), (entries, entry...) as
  /// they lie in the window, or (entry...).
  mx::array read(int slot) const;

  /// Bytes that the tokens seen take.
  size_t memory_bytes() const;

 private:
  int64_t places(const nn::StateSlot& slot) const; // of the storage
  /// The places that hold something, as first and count.
  std::pair<int64_t, int64_t> held(const nn::StateSlot& slot) const;
  void check_trim(int n) const;
  void clear_latest();

  const backend::Peer& peer_;
  const std::vector<nn::StateSlot> slots_;
  const Cells cells_;
  const int capacity_;
  int position_ = 0;
  int furthest_ = 0; // the most tokens since the state was empty
  bool may_go_back_ = false; // Latest has the entry before
  uint64_t serial_ = 0;
  std::vector<backend::Memory> memory_; // one per slot
  backend::Memory cell_memory_;
  std::unique_ptr<backend::Queue> queue_;
};

} // namespace zmlx::plan
