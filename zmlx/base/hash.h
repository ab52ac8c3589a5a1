#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "zmlx/export.h"

namespace zmlx {

/// 128 bits that name a content: equal contents have equal hashes on every
/// machine and in every run. Not a defence against someone who seeks
/// collisions.
struct ZMLX_API Hash128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  friend auto operator<=>(const Hash128&, const Hash128&) = default;

  /// 32 lower-case hexadecimal digits.
  std::string hex() const;
};

/// For unordered containers.
struct Hash128Hasher {
  std::size_t operator()(const Hash128& h) const {
    return static_cast<std::size_t>(h.low);
  }
};

ZMLX_API Hash128 hash_bytes(std::span<const std::byte> bytes);
ZMLX_API Hash128 hash_text(std::string_view text);

/// A hash of several parts: `Hasher().add(name).add(bits).digest()`. Strings
/// are hashed with their length, so ("ab", "c") differs from ("a", "bc");
/// numbers as their little-endian bytes. XXH3, 128 bits, seed 0.
class ZMLX_API Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;

  /// The bytes alone: chunks of one stream hash as their concatenation.
  Hasher& add_bytes(std::span<const std::byte> bytes);

  Hasher& add(std::string_view text);
  Hasher& add(const char* text) {
    return add(std::string_view(text));
  }
  Hasher& add(const Hash128& hash);

  template <typename T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T> Hasher& add(T value) {
    std::array<std::byte, sizeof(T)> bytes{};
    std::memcpy(bytes.data(), &value, sizeof(T));
    return add_bytes(bytes);
  }

  /// The hash of what was added so far; adding may go on.
  Hash128 digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace zmlx
