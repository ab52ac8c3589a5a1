#include "zmlx/plan/state.h"

#include <sys/mman.h>

#include <cstring>
#include <utility>

#include "zmlx/base/errors.h"

namespace zmlx::plan {

Buffer::Buffer(size_t bytes) : size_(bytes) {
  if (bytes == 0) {
    return;
  }
  void* p = mmap(
      nullptr,
      bytes,
      PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
      -1,
      0);
  if (p == MAP_FAILED) {
    throw environment_error("no memory for a buffer of {} bytes", bytes);
  }
  data_ = static_cast<std::byte*>(p);
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Buffer::~Buffer() {
  if (data_) {
    munmap(data_, size_);
  }
}

State::State(std::vector<nn::KVCacheShape> shapes, int capacity)
    : shapes_(std::move(shapes)), capacity_(capacity) {
  if (capacity < 1) {
    throw user_error("a context of {} tokens: expected at least 1", capacity);
  }
  for (const auto& shape : shapes_) {
    for (int i = 0; i < 2; i++) {
      buffers_.emplace_back(shape.kv_heads * head_bytes(shape, capacity));
    }
  }
}

size_t State::head_bytes(const nn::KVCacheShape& shape, int positions) const {
  return static_cast<size_t>(positions) * shape.head_dim *
      mx::size_of(shape.dtype);
}

void State::begin_step(Ticket ticket, int token) {
  if (ticket != this->ticket()) {
    throw user_error(
        "stale ticket: this conversation has moved on since it was given");
  }
  if (position_ >= capacity_) {
    throw user_error("the context is full: it holds {} tokens", capacity_);
  }
  cells_[0] = token;
  cells_[1] = position_;
  cells_[2] = position_ + 1;
}

Ticket State::end_step() {
  position_++;
  serial_++;
  return ticket();
}

void State::trim(int n) {
  if (n < 0 || n > position_) {
    throw user_error("cannot forget {} of {} tokens", n, position_);
  }
  position_ -= n;
  serial_++;
}

void State::copy_into(std::vector<Buffer>& buffers, int capacity) const {
  for (size_t i = 0; i < buffers.size(); i++) {
    const auto& shape = shapes_[i / 2];
    for (int head = 0; head < shape.kv_heads; head++) {
      std::memcpy(
          buffers[i].data() + head * head_bytes(shape, capacity),
          buffers_[i].data() + head * head_bytes(shape, capacity_),
          head_bytes(shape, position_));
    }
  }
}

std::unique_ptr<State> State::copy() const {
  auto other = std::make_unique<State>(shapes_, capacity_);
  copy_into(other->buffers_, capacity_);
  other->position_ = position_;
  return other;
}

void State::grow(int capacity) {
  if (capacity < capacity_) {
    throw internal_error(
        "a context shrinks from {} to {}", capacity_, capacity);
  }
  std::vector<Buffer> buffers;
  for (const auto& shape : shapes_) {
    for (int i = 0; i < 2; i++) {
      buffers.emplace_back(shape.kv_heads * head_bytes(shape, capacity));
    }
  }
  copy_into(buffers, capacity);
  buffers_ = std::move(buffers);
  capacity_ = capacity;
}

std::pair<mx::array, mx::array> State::view(int layer) const {
  const auto& shape = shapes_[layer];
  auto lend = [&](void* data) {
    mx::array all(
        data,
        {1, shape.kv_heads, capacity_, shape.head_dim},
        shape.dtype,
        [](void*) {});
    return mx::slice(
        all, {0, 0, 0, 0}, {1, shape.kv_heads, position_, shape.head_dim});
  };
  return {lend(keys(layer)), lend(values(layer))};
}

size_t State::memory_bytes() const {
  size_t bytes = 0;
  for (const auto& shape : shapes_) {
    bytes += 2 * shape.kv_heads * head_bytes(shape, position_);
  }
  return bytes;
}

} // namespace zmlx::plan
