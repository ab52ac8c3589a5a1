#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace zmlx::io {

struct LoadOptions {
  /// Called while loading, in the calling thread: the file being read, bytes
  /// of weights done and in all.
  std::function<void(const std::string& item, uint64_t done, uint64_t total)>
      progress;
};

} // namespace zmlx::io
