#include "zmlx/lab/doctor.h"

#include <algorithm>

#include <mlx/mlx.h>

#include "zmlx/backend/backend.h"
#include "zmlx/base/atomic_file.h"
#include "zmlx/base/errors.h"
#include "zmlx/base/other_load.h"
#include "zmlx/base/settings.h"
#include "zmlx/base/text.h"
#include "zmlx/op/elementwise.h"
#include "zmlx/op/primitive.h"

namespace zmlx::lab {

namespace mx = mlx::core;

bool DoctorResult::healthy() const {
  return std::none_of(findings.begin(), findings.end(), [](const Finding& f) {
    return f.level == Finding::Level::bad;
  });
}

namespace {

constexpr const char* kTestedMlx = "0.32.4";

Finding look_at_mlx(const measure::DeviceFacts& device) {
  Finding finding{.item = "MLX", .value = device.mlx_version};
  if (device.mlx_version != kTestedMlx) {
    finding.level = Finding::Level::note;
    finding.advice =
        fmt::format("zmlx is tested with {} and may need it", kTestedMlx);
  }
  return finding;
}

/// A formula through parser, executor and MLX's graph, held against MLX.
Finding look_at_kernels() {
  Finding finding{.item = "kernels", .value = "a formula gives MLX's values"};
  auto x = mx::arange(-4.0, 4.0, 0.01);
  const std::string name = "doctor";
  auto ours = elementwise("x * sigmoid(x)", {.name = name})(x);
  auto theirs = x * mx::sigmoid(x);
  auto difference = mx::max(mx::abs(ours - theirs)).item<float>();
  if (!(difference < 1e-5f)) {
    finding.level = Finding::Level::bad;
    finding.value = fmt::format("a formula is off by {}", difference);
    finding.advice = "report this with the output of `zmlx doctor --json`";
  }
  for (const auto& fallback : op::fallbacks()) {
    if (fallback.kernel == name) {
      finding.level = Finding::Level::bad;
      finding.value = "a formula runs as the reference";
      finding.advice = fallback.reason;
    }
  }
  return finding;
}

Finding look_at_cache() {
  Finding finding{
      .item = "cache folder", .value = settings().cache_dir.string()};
  try {
    private_cache_directory("");
  } catch (const EnvironmentError& e) {
    finding.level = Finding::Level::bad;
    finding.advice = e.what();
  }
  return finding;
}

Finding look_at_gpu() {
  bool gpu = mx::is_available(mx::Device::gpu);
  return {
      .level = gpu ? Finding::Level::good : Finding::Level::note,
      .item = "GPU",
      .value = gpu ? "available to MLX" : "none",
      .advice = gpu ? "" : "models run on the CPU"};
}

Finding look_at_threads(const measure::DeviceFacts& device, int threads) {
  Finding finding{
      .item = "threads", .value = fmt::format("{} of ours", threads)};
  if (threads < device.cpus) {
    finding.level = Finding::Level::note;
    finding.advice = fmt::format(
        "this process may use {} CPUs; ZMLX_THREADS says less", device.cpus);
  }
  return finding;
}

Finding look_at_load(
    const measure::DeviceFacts& device,
    const std::optional<double>& other_cpus) {
  Finding finding{.item = "other load", .value = "not known"};
  if (other_cpus) {
    finding.value = fmt::format("{:.1f} of {} CPUs", *other_cpus, device.cpus);
  }
  if (other_cpus.value_or(0) >= worth_telling_cpus) {
    finding.level = Finding::Level::note;
    finding.advice = "other programs are running; speeds will be lower";
  }
  return finding;
}

} // namespace

DoctorResult doctor() {
  const OtherLoad others;
  const auto peer = backend::peer_facts();
  DoctorResult result{
      .device = measure::device_facts(),
      .threads = peer.threads,
      .simd = peer.instructions};
  const measure::BandwidthOptions options{.threads = result.threads};
  const auto read = measure::read_bandwidth(options);
  const auto triad = measure::triad_bandwidth(options);
  result.read_bytes_s = read.bytes_per_second.median;
  result.read_spread = read.bytes_per_second.spread();
  result.triad_bytes_s = triad.bytes_per_second.median;
  result.triad_spread = triad.bytes_per_second.spread();
  result.findings = {
      look_at_mlx(result.device),
      look_at_gpu(),
      look_at_threads(result.device, result.threads),
      look_at_load(result.device, others.cpus()),
      look_at_kernels(),
      look_at_cache()};
  return result;
}

} // namespace zmlx::lab
