#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

namespace zmlx::backend::cpu {

/// The memories of a loop, by number.
class Memories {
 public:
  static constexpr size_t kGuard = 128;

  Memories() = default;
  Memories(Memories&&) = default; // a copy would lie elsewhere: see copy()

  /// `offset` bytes after a multiple of 64.
  void add(size_t bytes, size_t offset = 0) {
    Memory memory{{}, bytes};
    memory.all.resize(bytes + offset + 2 * kGuard + 64, 0xA5);
    const auto at = reinterpret_cast<uintptr_t>(memory.all.data()) + kGuard;
    memory.first = kGuard + (64 - at % 64) % 64 + offset;
    memories_.push_back(std::move(memory));
  }

  template <typename T>
  T* at(int memory) {
    auto& own = memories_[memory];
    return reinterpret_cast<T*>(own.all.data() + own.first);
  }
  /// As large as these, and filled with them.
  template <typename T>
  void add(const std::vector<T>& values) {
    add(values.size() * sizeof(T));
    fill(static_cast<int>(memories_.size()) - 1, values);
  }
  template <typename T>
  void fill(int memory, const std::vector<T>& values) {
    const size_t count = memories_[memory].bytes / sizeof(T);
    for (size_t i = 0; i < count; ++i) {
      std::memcpy(at<T>(memory) + i, &values[i % values.size()], sizeof(T));
    }
  }
  /// Fills what lies within with this byte.
  void clear(int memory, unsigned char byte) {
    std::memset(at<void*>(memory), byte, memories_[memory].bytes);
  }
  /// The same bytes, at other addresses as far after a multiple of 64.
  Memories copy() {
    Memories other;
    for (size_t m = 0; m < memories_.size(); ++m) {
      const int number = static_cast<int>(m);
      other.add(
          memories_[m].bytes,
          reinterpret_cast<uintptr_t>(at<unsigned char>(number)) % 64);
      std::memcpy(
          other.at<unsigned char>(number),
          at<unsigned char>(number),
          memories_[m].bytes);
    }
    return other;
  }
  std::vector<void*> pointers() {
    std::vector<void*> result;
    for (size_t m = 0; m < memories_.size(); ++m) {
      result.push_back(at<void>(static_cast<int>(m)));
    }
    return result;
  }
  size_t bytes(int memory) const {
    return memories_[memory].bytes;
  }
  /// Whether nothing but what lies within was written.
  bool guarded() const {
    for (const auto& memory : memories_) {
      for (size_t i = 0; i < memory.all.size(); ++i) {
        const bool within =
            i >= memory.first && i < memory.first + memory.bytes;
        if (!within && memory.all[i] != 0xA5) {
          return false;
        }
      }
    }
    return true;
  }

 private:
  struct Memory {
    std::vector<unsigned char> all;
    size_t bytes;
    size_t first = 0;
  };
  std::vector<Memory> memories_;
};

} // namespace zmlx::backend::cpu
