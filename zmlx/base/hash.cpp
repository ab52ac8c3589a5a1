#include "zmlx/base/hash.h"

#include <bit>
#include <new>

#include <fmt/format.h>
#include <xxhash.h>

namespace zmlx {

static_assert(
    std::endian::native == std::endian::little,
    "numbers are hashed as they lie in memory");

namespace {

Hash128 from_xxh(XXH128_hash_t h) {
  return {h.high64, h.low64};
}

struct FreeState {
  void operator()(XXH3_state_t* state) const {
    XXH3_freeState(state);
  }
};

} // namespace

struct Hasher::State {
  std::unique_ptr<XXH3_state_t, FreeState> xxh{XXH3_createState()};
};

std::string Hash128::hex() const {
  return fmt::format("{:016x}{:016x}", high, low);
}

Hash128 hash_bytes(std::span<const std::byte> bytes) {
  return from_xxh(XXH3_128bits(bytes.data(), bytes.size()));
}

Hash128 hash_text(std::string_view text) {
  return hash_bytes(std::as_bytes(std::span(text.data(), text.size())));
}

Hasher::Hasher() : state_(std::make_unique<State>()) {
  if (!state_->xxh) {
    throw std::bad_alloc();
  }
  XXH3_128bits_reset(state_->xxh.get());
}

Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

Hasher& Hasher::add_bytes(std::span<const std::byte> bytes) {
  XXH3_128bits_update(state_->xxh.get(), bytes.data(), bytes.size());
  return *this;
}

Hasher& Hasher::add(std::string_view text) {
  add(static_cast<std::uint64_t>(text.size()));
  return add_bytes(std::as_bytes(std::span(text.data(), text.size())));
}

Hasher& Hasher::add(const Hash128& hash) {
  return add(hash.high).add(hash.low);
}

Hash128 Hasher::digest() const {
  return from_xxh(XXH3_128bits_digest(state_->xxh.get()));
}

} // namespace zmlx
