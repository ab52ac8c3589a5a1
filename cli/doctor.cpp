#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/output.h"
#include "zmlx/base/text.h"
#include "zmlx/lab/doctor.h"

namespace zmlx::cli {

namespace {

using Json = nlohmann::ordered_json;
using Level = lab::Finding::Level;

const char* name_of(Level level) {
  switch (level) {
    case Level::good:
      return "ok";
    case Level::note:
      return "note";
    case Level::bad:
      return "BAD";
  }
  return "";
}

Json to_json(const lab::DoctorResult& r) {
  auto findings = Json::array();
  for (const auto& f : r.findings) {
    findings.push_back(
        {{"item", f.item},
         {"level", name_of(f.level)},
         {"value", f.value},
         {"advice", f.advice}});
  }
  return {
      {"cpu", r.device.cpu},
      {"cpus", r.device.cpus},
      {"simd", r.simd},
      {"threads", r.threads},
      {"l1_bytes", r.device.l1_bytes},
      {"l2_bytes", r.device.l2_bytes},
      {"l3_bytes", r.device.l3_bytes},
      {"memory_bytes", r.device.memory_bytes},
      {"system", r.device.system},
      {"mlx_version", r.device.mlx_version},
      {"read_bytes_per_second", r.read_bytes_s},
      {"read_spread", r.read_spread},
      {"triad_bytes_per_second", r.triad_bytes_s},
      {"triad_spread", r.triad_spread},
      {"findings", findings},
      {"healthy", r.healthy()}};
}

std::string to_text(const lab::DoctorResult& r) {
  Table table({{"item"}, {""}, {"found"}, {"advice"}});
  table.add_row(
      {"CPU",
       "ok",
       fmt::format("{}, {} usable", r.device.cpu, r.device.cpus),
       ""});
  table.add_row({"vectors", "ok", r.simd, ""});
  table.add_row(
      {"caches",
       "ok",
       fmt::format(
           "{} L1, {} L2, {} L3",
           format_bytes(static_cast<double>(r.device.l1_bytes)),
           format_bytes(static_cast<double>(r.device.l2_bytes)),
           format_bytes(static_cast<double>(r.device.l3_bytes))),
       ""});
  auto memory = [&](const char* item, double rate, double spread) {
    table.add_row(
        {item,
         "ok",
         fmt::format("{} (spread {:.0f} %)", format_rate(rate), 100 * spread),
         ""});
  };
  memory("memory read", r.read_bytes_s, r.read_spread);
  memory("memory triad", r.triad_bytes_s, r.triad_spread);
  for (const auto& f : r.findings) {
    table.add_row({f.item, name_of(f.level), f.value, f.advice});
  }
  return table.to_string() + "\n" + r.device.system +
      (r.healthy() ? ": all is well\n" : ": something is missing, see above\n");
}

const CommandRegistration command({
    "doctor",
    "Look at the device, the libraries and the caches, and measure the memory",
    [](CLI::App& app) -> std::function<int()> {
      auto json = std::make_shared<bool>(false);
      app.add_flag("--json", *json, "Print one JSON document");
      return [json] {
        const auto result = lab::doctor();
        write(stdout, *json ? to_json(result).dump(2) + "\n" : to_text(result));
        return result.healthy() ? exit_ok : exit_environment;
      };
    },
});

} // namespace

} // namespace zmlx::cli
