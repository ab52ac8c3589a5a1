#include "zmlx/measure/device.h"

#include <fstream>

#include <hwy/highway.h>
#include <mlx/mlx.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fmt/format.h>

#include "zmlx/base/settings.h"

namespace zmlx::measure {
namespace {

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) {
      auto colon = line.find(": ");
      return colon == std::string::npos ? "unknown" : line.substr(colon + 2);
    }
  }
  return "unknown";
}

std::string simd_name() {
  auto targets = hwy::SupportedTargets();
  // Lower bits are better targets.
  auto best = targets & -targets;
  if (best & (HWY_AVX3 | HWY_AVX3_DL)) {
    return "AVX-512";
  }
  return hwy::TargetName(best);
}

std::size_t cache_bytes(int name) {
  long bytes = sysconf(name);
  return bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

std::string system_name() {
  utsname names{};
  if (uname(&names) != 0) {
    return "unknown";
  }
  return fmt::format("{} {} {}", names.sysname, names.release, names.machine);
}

std::size_t memory_bytes() {
  struct sysinfo info {};
  return sysinfo(&info) == 0 ? info.totalram * info.mem_unit : 0;
}

} // namespace

DeviceFacts device_facts() {
  return {
      cpu_name(),
      available_cpus(),
      simd_name(),
      cache_bytes(_SC_LEVEL1_DCACHE_SIZE),
      cache_bytes(_SC_LEVEL2_CACHE_SIZE),
      cache_bytes(_SC_LEVEL3_CACHE_SIZE),
      memory_bytes(),
      system_name(),
      mlx::core::version()};
}

} // namespace zmlx::measure
