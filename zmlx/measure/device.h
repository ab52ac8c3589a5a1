#pragma once

#include <cstddef>
#include <string>

#include "zmlx/base/statistics.h"
#include "zmlx/export.h"

namespace zmlx::measure {

/// What this machine is. 0 or "unknown" where the system does not say.
struct DeviceFacts {
  std::string cpu; // "AMD EPYC 9654 96-Core Processor"
  int cpus = 0; // that this process may run on
  std::string simd; // the widest that kernels use: "AVX-512", "AVX2", "NEON"
  std::size_t l1_bytes = 0; // data cache of a core
  std::size_t l2_bytes = 0;
  std::size_t l3_bytes = 0;
  std::size_t memory_bytes = 0;
  std::string system; // "Linux 6.1.0 x86_64"
  std::string mlx_version;
};
ZMLX_API DeviceFacts device_facts();

struct BandwidthOptions {
  int threads = 1;
  int repeats = 9;
  /// Bytes gone through in a pass; 0 picks twice the last cache, within 256 MiB
  /// to 1 GiB and an eighth of the memory, so that no pass finds in a cache
  /// what the one before it left.
  std::size_t bytes = 0;
};

/// Bytes that memory gives or takes a second.
struct Bandwidth {
  Summary bytes_per_second;
  std::size_t bytes; // of a pass
  int threads;
};

/// Reads alone, in the faster of two ways: the roof of a decode step, which
/// reads every weight once.
/// UserError for fewer than 1 or more than 1024 threads or no repeat;
/// EnvironmentError where the memory cannot be had.
ZMLX_API Bandwidth read_bandwidth(const BandwidthOptions& options);

/// a[i] = b[i] + s * c[i] with stores that pass the caches by, three arrays
/// counted: the roof of element-wise kernels. Errors as above.
ZMLX_API Bandwidth triad_bandwidth(const BandwidthOptions& options);

} // namespace zmlx::measure
