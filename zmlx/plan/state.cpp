#include "zmlx/plan/state.h"

#include <algorithm>

#include "zmlx/base/errors.h"

namespace zmlx::plan {

using nn::Keeps;
using nn::StateSlot;

State::State(
    const backend::Peer& peer,
    std::vector<StateSlot> slots,
    int capacity)
    : peer_(peer),
      slots_(std::move(slots)),
      cells_(slots_),
      capacity_(capacity),
      queue_(peer.queue()) {
  if (capacity < 1) {
    throw user_error("a context of {} tokens: expected at least 1", capacity);
  }
  for (const auto& slot : slots_) {
    memory_.push_back(
        peer.allocate(static_cast<size_t>(places(slot)) * slot.entry_bytes()));
  }
  cell_memory_ = peer.allocate(cells_.count() * sizeof(int32_t));
}

int64_t State::places(const StateSlot& slot) const {
  switch (slot.keeps) {
    case Keeps::All:
      return capacity_;
    case Keeps::Window:
      return slot.window;
    case Keeps::Latest:
      return 2;
  }
  return 0;
}

std::pair<int64_t, int64_t> State::held(const StateSlot& slot) const {
  if (slot.keeps == Keeps::Latest) {
    return {position_ % 2, 1};
  }
  return {0, std::min<int64_t>(position_, places(slot))};
}

void State::begin_step(
    Ticket ticket,
    std::optional<int> token,
    backend::Address token_at) {
  if (ticket != this->ticket()) {
    throw user_error(
        "stale ticket: this conversation has moved on since it was given");
  }
  if (position_ >= capacity_) {
    throw user_error("the context is full: it holds {} tokens", capacity_);
  }
  const auto values = cells_.values(token.value_or(0), position_);
  queue_->copy_in(cell(0), values.data(), values.size() * sizeof(int32_t));
  if (!token) {
    queue_->copy(cell(Cells::Token), token_at, sizeof(int32_t));
  }
}

Ticket State::end_step() {
  position_++;
  furthest_ = std::max(furthest_, position_);
  may_go_back_ = true;
  serial_++;
  return ticket();
}

void State::check_trim(int n) const {
  if (n < 0 || n > position_) {
    throw user_error("cannot forget {} of {} tokens", n, position_);
  }
  if (n == 0 || n == position_) {
    return;
  }
  for (const auto& slot : slots_) {
    if (slot.keeps == Keeps::Latest && (n > 1 || !may_go_back_)) {
      throw user_error(
          "cannot forget {} of {} tokens: {} goes back one step only",
          n,
          position_,
          slot.name);
    }
    if (slot.keeps == Keeps::Window && furthest_ > slot.window) {
      throw user_error(
          "cannot forget {} of {} tokens: {} keeps the last {}, which were "
          "written over those before",
          n,
          position_,
          slot.name,
          slot.window);
    }
  }
}

void State::trim(int n) {
  check_trim(n);
  if (n > 0 && n == position_) {
    clear_latest();
    furthest_ = 0;
  }
  position_ -= n;
  may_go_back_ = may_go_back_ && n == 0;
  serial_++;
}

/// What the first step reads of a recurrent state is zeros.
void State::clear_latest() {
  for (size_t i = 0; i < slots_.size(); i++) {
    if (slots_[i].keeps == Keeps::Latest) {
      const std::vector<std::byte> zeros(slots_[i].entry_bytes());
      queue_->copy_in(memory_[i].address, zeros.data(), zeros.size());
    }
  }
}

std::unique_ptr<State> State::copy() const {
  auto other = std::make_unique<State>(peer_, slots_, capacity_);
  queue_->wait();
  for (size_t i = 0; i < slots_.size(); i++) {
    const size_t entry = slots_[i].entry_bytes();
    auto [first, count] = held(slots_[i]);
    if (slots_[i].keeps == Keeps::Latest) {
      first = 0;
      count = 2;
    }
    const auto offset = first * static_cast<int64_t>(entry);
    if (count > 0) {
      other->queue_->copy(
          other->memory_[i].address + offset,
          memory_[i].address + offset,
          static_cast<size_t>(count) * entry);
    }
  }
  other->queue_->wait();
  other->position_ = position_;
  other->furthest_ = furthest_;
  other->may_go_back_ = may_go_back_;
  return other;
}

mx::array State::read(int number) const {
  const auto& slot = slots_[number];
  const auto [first, count] = held(slot);
  mx::Shape shape = slot.entry;
  if (slot.keeps != Keeps::Latest) {
    shape.insert(shape.begin(), static_cast<mx::ShapeElem>(count));
  }
  auto copy = mx::zeros(shape, slot.dtype, mx::Device::cpu);
  copy.eval();
  const auto entry = static_cast<int64_t>(slot.entry_bytes());
  if (count > 0) {
    queue_->copy_out(
        copy.data<std::byte>(),
        memory_[number].address + first * entry,
        static_cast<size_t>(count * entry));
  }
  return copy;
}

size_t State::memory_bytes() const {
  size_t bytes = 0;
  for (const auto& slot : slots_) {
    bytes += static_cast<size_t>(held(slot).second) * slot.entry_bytes();
  }
  return bytes;
}

} // namespace zmlx::plan
