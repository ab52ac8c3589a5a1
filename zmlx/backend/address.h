#pragma once

#include <compare>
#include <cstdint>

namespace zmlx::backend {

/// A place in the memory of a peer, counted in bytes. What the number means
/// only that peer knows: on the CPU it is a pointer, on a GPU an address of the
/// device. Whoever is not the peer adds to it, compares it, and hands it on.
class Address {
 public:
  constexpr Address() = default;
  constexpr explicit Address(uintptr_t value) : value_(value) {}
  /// Of memory that the host can address, for peers that share it.
  Address(const void* host) // NOLINT: tests and the CPU hand over pointers
      : value_(reinterpret_cast<uintptr_t>(host)) {}

  constexpr uintptr_t value() const {
    return value_;
  }
  constexpr explicit operator bool() const {
    return value_ != 0;
  }
  constexpr Address operator+(int64_t bytes) const {
    return Address(value_ + static_cast<uintptr_t>(bytes));
  }
  constexpr int64_t operator-(Address other) const {
    return static_cast<int64_t>(value_ - other.value_);
  }
  constexpr auto operator<=>(const Address&) const = default;

 private:
  uintptr_t value_ = 0;
};

} // namespace zmlx::backend
