#include "zmlx/base/peak_memory.h"

#include <fstream>
#include <string>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace zmlx {

std::optional<size_t> peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    size_t kibibytes = 0;
    if (word == "VmHWM:" && status >> kibibytes) {
      return kibibytes << 10;
    }
  }
  return std::nullopt;
}

// "5" resets the peak and nothing else (proc(5)).
PeakMemory::PeakMemory() {
  std::ofstream clear("/proc/self/clear_refs");
  clear << "5" << std::flush;
  is_reset_ = clear.good();
}

std::optional<size_t> PeakMemory::bytes() const {
  return is_reset_ ? peak_memory() : std::nullopt;
}

void release_freed_memory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

} // namespace zmlx
