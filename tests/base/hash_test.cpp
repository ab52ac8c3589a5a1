#include "zmlx/base/hash.h"

#include <numeric>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace zmlx {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// Values of the reference implementation (xxhsum -H2), so that a hash written
// to disk by one version is known to the next.
TEST(Hash, IsXxh3Of128Bits) {
  EXPECT_EQ(hash_text("").hex(), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(hash_text("abc").hex(), "06b05ab6733a618578af5f94892f3950");
}

TEST(Hash, ChunksHashAsTheirConcatenation) {
  std::string text(10007, 'x');
  std::iota(text.begin(), text.end(), 1);
  auto whole = Hasher().add_bytes(bytes_of(text)).digest();
  EXPECT_EQ(whole, hash_bytes(bytes_of(text)));
  for (std::size_t chunk : {1, 7, 64, 241, 4096}) {
    Hasher hasher;
    for (std::size_t at = 0; at < text.size(); at += chunk) {
      hasher.add_bytes(
          bytes_of(text).subspan(at, std::min(chunk, text.size() - at)));
    }
    EXPECT_EQ(hasher.digest(), whole) << chunk;
  }
}

TEST(Hash, PartsKeepTheirBorders) {
  std::set<Hash128> seen;
  seen.insert(Hasher().add("ab").add("c").digest());
  seen.insert(Hasher().add("a").add("bc").digest());
  seen.insert(Hasher().add("abc").digest());
  seen.insert(Hasher().add("abc").add("").digest());
  seen.insert(Hasher().add(1).digest());
  seen.insert(Hasher().add(std::int64_t{1}).digest());
  seen.insert(Hasher().add(1.0f).digest());
  seen.insert(Hasher().add(hash_text("")).digest());
  EXPECT_EQ(seen.size(), 8u);
}

TEST(Hash, AnyBitChangesTheHash) {
  std::string text(300, '\0');
  std::set<Hash128> seen{hash_text(text)};
  for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
    auto changed = text;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    seen.insert(hash_text(changed));
  }
  EXPECT_EQ(seen.size(), 1 + text.size() * 8);
}

TEST(Hash, DigestLeavesTheHasherUsable) {
  Hasher hasher;
  hasher.add("a");
  auto first = hasher.digest();
  EXPECT_EQ(hasher.digest(), first);
  hasher.add("b");
  EXPECT_EQ(hasher.digest(), Hasher().add("a").add("b").digest());
}

} // namespace
} // namespace zmlx
