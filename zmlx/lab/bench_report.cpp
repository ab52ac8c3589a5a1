#include "zmlx/lab/bench_report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "zmlx/base/text.h"

namespace zmlx::lab {

namespace {

using Json = nlohmann::ordered_json;

std::string percent(double share) {
  return fmt::format("{:.0f} %", 100 * share);
}

Json context_of(const BenchRun& run) {
  auto caches = Json::array();
  const std::pair<int, size_t> levels[] = {
      {1, run.device.l1_bytes},
      {2, run.device.l2_bytes},
      {3, run.device.l3_bytes}};
  for (const auto& [level, bytes] : levels) {
    if (bytes > 0) {
      caches.push_back(
          {{"type", level == 1 ? "Data" : "Unified"},
           {"level", level},
           {"size", bytes}});
    }
  }
  return {
      {"date", run.date},
      {"executable", run.command},
      {"num_cpus", run.device.cpus},
      {"caches", caches},
      {"cpu", run.device.cpu},
      {"simd", run.simd},
      {"threads", run.roofs.threads},
      {"system", run.device.system},
      {"mlx_version", run.device.mlx_version},
      {"triad_bytes_per_second", run.roofs.triad},
      {"read_bytes_per_second", run.roofs.read}};
}

Json to_json(const KernelBench& k, const Roofs& roofs) {
  Json entry{
      {"name",
       fmt::format("{}/{}{}", k.kernel, k.type, k.gradient ? "/gradient" : "")},
      {"run_type", "iteration"},
      {"family", k.family},
      {"shapes", k.shapes}};
  if (!k.skipped.empty()) {
    entry["error_occurred"] = true;
    entry["error_message"] = k.skipped;
    return entry;
  }
  const double rate = k.bytes_per_second();
  entry.update(
      {{"repetitions", k.ours.samples.size()},
       {"threads", roofs.threads},
       {"real_time", 1e9 * k.ours.seconds.median},
       {"time_unit", "ns"},
       {"bytes_per_second", rate},
       {"spread", k.ours.seconds.spread()},
       {"share_of_triad", rate / roofs.triad},
       {"share_of_read", rate / roofs.read},
       {"mlx_real_time", 1e9 * k.mlx.seconds.median},
       {"mlx_spread", k.mlx.seconds.spread()},
       {"compared_with", k.idiomatic ? "mlx" : "formula"},
       {"speedup", k.speedup.ratio},
       {"speedup_interval",
        {k.speedup.interval.lower, k.speedup.interval.upper}},
       {"fallback", k.fallback}});
  return entry;
}

std::string notes_text(const BenchRun& run, const Table::Layout& layout) {
  Table table({{"kernel"}, {"note"}});
  for (const auto& k : run.kernels) {
    if (!k.skipped.empty()) {
      table.add_row({k.kernel, "not timed: " + k.skipped});
    } else if (!k.fallback.empty()) {
      table.add_row(
          {k.kernel, "ran as MLX operations on both sides: " + k.fallback});
    }
  }
  return table.empty() ? "" : fmt::format("\n{}", table.to_string(layout));
}

} // namespace

std::string bench_table(const BenchRun& run, int width, bool color) {
  const auto right = Table::Align::right;
  Table table(
      {{"kernel"},
       {"time", right},
       {"spread", right},
       {"rate", right},
       {"of triad", right},
       {"of read", right},
       {"MLX", right},
       {"against"},
       {"speedup", right},
       {"95 %"}});
  for (const auto& k : run.kernels) {
    if (k.skipped.empty()) {
      const double rate = k.bytes_per_second();
      table.add_row(
          {k.kernel,
           format_seconds(k.ours.seconds.median),
           percent(k.ours.seconds.spread()),
           format_rate(rate),
           percent(rate / run.roofs.triad),
           percent(rate / run.roofs.read),
           format_seconds(k.mlx.seconds.median),
           k.idiomatic ? "mlx" : "formula",
           format_number(k.speedup.ratio) + "x",
           fmt::format(
               "{} .. {}",
               format_number(k.speedup.interval.lower),
               format_number(k.speedup.interval.upper))});
    }
  }
  const Table::Layout layout{.width = width, .color = color};
  return table.to_string(layout) + notes_text(run, layout) +
      fmt::format(
             "\n{}, {}, {} threads; the memory: triad {}, read {}\n",
             run.device.cpu,
             run.simd,
             run.roofs.threads,
             format_rate(run.roofs.triad),
             format_rate(run.roofs.read));
}

Json bench_json(const BenchRun& run) {
  auto benchmarks = Json::array();
  for (const auto& k : run.kernels) {
    benchmarks.push_back(to_json(k, run.roofs));
  }
  return {{"context", context_of(run)}, {"benchmarks", benchmarks}};
}

} // namespace zmlx::lab
