#pragma once

#include <cstdint>

namespace zmlx::fuzz {

/// Word i % 4 of Philox4x32-10 with counter i / 4 and key `seed`. Source:
/// Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011, fig. 2
/// and table 2.
inline uint32_t philox(uint64_t seed, uint64_t i) {
  uint32_t key[2] = {
      static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
  uint32_t c[4] = {
      static_cast<uint32_t>(i / 4), static_cast<uint32_t>((i / 4) >> 32), 0, 0};
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * c[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * c[2];
    const uint32_t next[4] = {
        static_cast<uint32_t>(b >> 32) ^ c[1] ^ key[0],
        static_cast<uint32_t>(b),
        static_cast<uint32_t>(a >> 32) ^ c[3] ^ key[1],
        static_cast<uint32_t>(a)};
    for (int k = 0; k < 4; ++k) {
      c[k] = next[k];
    }
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return c[i % 4];
}

} // namespace zmlx::fuzz
