#include "zmlx/lab/check_report.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "zmlx/base/text.h"

namespace zmlx::lab {

namespace {

using Json = nlohmann::ordered_json;

struct Totals {
  int cases = 0;
  int64_t comparisons = 0;
  int64_t values = 0;
  int64_t failures = 0;
};

Totals totals_of(const std::vector<KernelCheck>& results) {
  Totals totals;
  for (const auto& r : results) {
    totals.cases += r.cases;
    totals.comparisons += r.all_comparisons();
    totals.values += r.values;
    totals.failures += r.failed;
  }
  return totals;
}

// "", or why not every gradient runs as kernels.
std::string gradient_reason(const KernelCheck& r) {
  std::vector<std::string> reasons;
  for (const auto& [input, why] : r.no_gradient) {
    reasons.push_back(input + ": " + why);
  }
  if (!r.gradient_on_cpu) {
    reasons.push_back("runs as MLX operations: " + r.why_gradient_not_on_cpu);
  }
  return fmt::format("{}", fmt::join(reasons, "; "));
}

std::string gradient_support(const KernelCheck& r) {
  if (r.gradient_inputs.empty() && r.no_gradient.empty()) {
    return "-";
  }
  if (!r.gradient_on_cpu || r.gradient_inputs.empty()) {
    return "no";
  }
  return r.no_gradient.empty() ? "yes" : "some";
}

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) {
    return text;
  }
  std::string result(1, '"');
  for (char c : text) {
    result.append(c == '"' ? 2 : 1, c);
  }
  result.push_back('"');
  return result;
}

Json to_json(const KernelCheck& r) {
  Json counts;
  for (size_t i = 0; i < kChecks; ++i) {
    if (static_cast<Check>(i) != Check::fallback) {
      counts[name_of(static_cast<Check>(i))] = r.comparisons[i];
    }
  }
  auto failures = Json::array();
  for (const auto& f : r.failures) {
    failures.push_back(
        {{"check", name_of(f.check)}, {"where", f.where}, {"what", f.what}});
  }
  return {
      {"kernel", r.kernel},
      {"family", r.family},
      {"input_types", r.input_types},
      {"cpu", r.on_cpu},
      {"cpu_reason", r.why_not_on_cpu},
      {"gradient", gradient_support(r)},
      {"gradient_inputs", r.gradient_inputs},
      {"gradient_reason", gradient_reason(r)},
      {"cases", r.cases},
      {"comparisons", counts},
      {"values", r.values},
      {"failed", r.failed},
      {"failures", failures}};
}

std::string failures_text(const std::vector<KernelCheck>& results) {
  std::string text;
  for (const auto& r : results) {
    if (r.ok()) {
      continue;
    }
    text += fmt::format("\n{}: {} failed\n", r.kernel, format_count(r.failed));
    for (const auto& f : r.failures) {
      text += fmt::format("  {}: {}: {}\n", name_of(f.check), f.where, f.what);
    }
    if (r.failed > static_cast<int64_t>(r.failures.size())) {
      text += "  ...\n";
    }
  }
  return text;
}

std::string gradients_text(
    const std::vector<KernelCheck>& results,
    const Table::Layout& layout) {
  Table table({{"gradient by MLX's autodiff"}, {"reason"}});
  for (const auto& r : results) {
    if (const auto reason = gradient_reason(r); !reason.empty()) {
      table.add_row({r.kernel, reason});
    }
  }
  return table.empty() ? "" : fmt::format("\n{}", table.to_string(layout));
}

} // namespace

std::string
check_table(const std::vector<KernelCheck>& results, int width, bool color) {
  const auto right = Table::Align::right;
  Table table(
      {{"kernel"},
       {"cpu"},
       {"gradient"},
       {"cases", right},
       {"value", right},
       {"special", right},
       {"ties", right},
       {"zeros", right},
       {"empty", right},
       {"gradient", right},
       {"derivative", right},
       {"result"}});
  for (const auto& r : results) {
    std::vector<std::string> row = {
        r.kernel,
        r.on_cpu ? "yes" : "no",
        gradient_support(r),
        format_count(r.cases)};
    for (size_t i = 0; i < static_cast<size_t>(Check::fallback); ++i) {
      row.push_back(
          r.comparisons[i] == 0 ? "" : format_count(r.comparisons[i]));
    }
    row.push_back(
        r.ok() ? "ok" : fmt::format("{} FAILED", format_count(r.failed)));
    table.add_row(row);
  }
  const Table::Layout layout{.width = width, .color = color};
  const auto totals = totals_of(results);
  const auto failed = std::count_if(
      results.begin(), results.end(), [](const auto& r) { return !r.ok(); });
  return table.to_string(layout) + gradients_text(results, layout) +
      failures_text(results) +
      fmt::format(
             "\n{} kernels, {} cases, {} comparisons of {} values: {}\n",
             format_count(static_cast<int64_t>(results.size())),
             format_count(totals.cases),
             format_count(totals.comparisons),
             format_count(totals.values),
             failed == 0 ? "all as they should be"
                         : fmt::format("{} kernels FAILED", failed));
}

std::string check_csv(const std::vector<KernelCheck>& results) {
  std::string text =
      "kernel,family,input_types,cpu,cpu_reason,gradient,gradient_reason,"
      "cases,comparisons,values,failures\r\n";
  for (const auto& r : results) {
    text += fmt::format(
        "{},{},{},{},{},{},{},{},{},{},{}\r\n",
        quoted(r.kernel),
        quoted(r.family),
        quoted(fmt::format("{}", fmt::join(r.input_types, "; "))),
        r.on_cpu ? "yes" : "no",
        quoted(r.why_not_on_cpu),
        gradient_support(r),
        quoted(gradient_reason(r)),
        r.cases,
        r.all_comparisons(),
        r.values,
        r.failed);
  }
  return text;
}

Json check_json(const std::vector<KernelCheck>& results) {
  const auto totals = totals_of(results);
  auto kernels = Json::array();
  for (const auto& r : results) {
    kernels.push_back(to_json(r));
  }
  return {
      {"passed", totals.failures == 0},
      {"cases", totals.cases},
      {"comparisons", totals.comparisons},
      {"values", totals.values},
      {"failures", totals.failures},
      {"kernels", kernels}};
}

} // namespace zmlx::lab
