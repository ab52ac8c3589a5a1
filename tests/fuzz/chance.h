#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace zmlx::fuzz {

/// Random choices.
class Chance {
 public:
  explicit Chance(uint64_t seed) : bits_(seed) {}

  /// 0 .. n - 1.
  int below(int n) {
    return static_cast<int>(bits_() % static_cast<uint64_t>(n));
  }
  bool one_in(int n) {
    return below(n) == 0;
  }
  double uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(bits_() >> 11) * 0x1p-53;
  }
  uint64_t bits() {
    return bits_();
  }
  template <typename T, size_t N>
  const T& of(const T (&list)[N]) {
    return list[below(static_cast<int>(N))];
  }
  template <typename T>
  const T& of(const std::vector<T>& list) {
    return list.at(below(static_cast<int>(list.size())));
  }

 private:
  std::mt19937_64 bits_; // its sequence is the standard's
};

} // namespace zmlx::fuzz
