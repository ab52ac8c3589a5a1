#include "zmlx/lab/bench_model_report.h"

#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "zmlx/base/text.h"
#include "zmlx/lab/chart.h"
#include "zmlx/lab/page.h"

namespace zmlx::lab {

namespace {

using Json = nlohmann::ordered_json;

const std::vector<std::string> kTitles{
    "test",
    "stock, tok/s",
    "patched, tok/s",
    "spread",
    "speedup",
    "95 %"};

std::string rate_text(
    const std::optional<ModelTiming>& timing,
    const ModelTest& test) {
  return timing ? format_number(timing->rate(test).median) : "-";
}

/// The cells of a row, under kTitles.
std::vector<std::string> cells_of(const ModelRow& row) {
  const auto& shown = row.patched ? row.patched : row.stock;
  return {
      row.test.name(),
      rate_text(row.stock, row.test),
      rate_text(row.patched, row.test),
      fmt::format("{:.0f} %", 100 * shown->rate(row.test).spread()),
      row.speedup ? format_number(row.speedup->ratio) + "x" : "-",
      row.speedup ? fmt::format(
                        "{} .. {}",
                        format_number(row.speedup->interval.lower),
                        format_number(row.speedup->interval.upper))
                  : "-"};
}

/// What the figures were measured on, in a line.
std::string setting_text(const ModelBenchRun& run) {
  return fmt::format(
      "{} ({}, {} of weights), {}, {} threads, MLX {}; the memory reads {}",
      run.model,
      run.bench.model_type,
      format_bytes(static_cast<double>(run.bench.model_bytes)),
      run.device.cpu,
      run.threads,
      run.device.mlx_version,
      format_rate(run.read_bytes_s));
}

std::string plan_note(const ModelBenchRun& run) {
  return run.bench.plan_reason.empty()
      ? ""
      : "nothing was planned: " + run.bench.plan_reason;
}

double deviation(const std::vector<double>& values, double average) {
  double sum = 0;
  for (const double value : values) {
    sum += (value - average) * (value - average);
  }
  return values.size() < 2
      ? 0
      : std::sqrt(sum / static_cast<double>(values.size() - 1));
}

Json entry_of(const ModelBenchRun& run, const ModelRow& row, bool patched) {
  const auto& seconds = (patched ? row.patched : row.stock)->seconds;
  std::vector<double> ns, rates;
  for (const double s : seconds) {
    ns.push_back(std::round(1e9 * s));
    rates.push_back(row.test.tokens() / s);
  }
  Json entry{
      {"backend", patched ? "zmlx" : "mlx"},
      {"cpu_info", run.device.cpu},
      {"mlx_version", run.device.mlx_version},
      {"model_filename", run.model},
      {"model_type", run.bench.model_type},
      {"model_size", run.bench.model_bytes},
      {"n_threads", run.threads},
      {"n_prompt", row.test.n_prompt},
      {"n_gen", row.test.n_generate},
      {"n_depth", row.test.n_depth},
      {"n_busy", row.test.n_busy},
      {"test_time", run.date},
      {"avg_ns", mean(ns)},
      {"stddev_ns", deviation(ns, mean(ns))},
      {"avg_ts", mean(rates)},
      {"stddev_ts", deviation(rates, mean(rates))},
      {"median_ts", median(rates)},
      {"read_bytes_per_second", run.read_bytes_s},
      {"weight_bytes_per_token",
       patched ? Json(run.bench.weight_bytes) : nullptr},
      {"speedup", nullptr},
      {"speedup_interval", nullptr},
      {"samples_ns", ns},
      {"samples_ts", rates}};
  if (patched && row.speedup) {
    entry["speedup"] = row.speedup->ratio;
    entry["speedup_interval"] = {
        row.speedup->interval.lower, row.speedup->interval.upper};
  }
  return entry;
}

/// A value of the JSON as a field of CSV (RFC 4180).
std::string csv_field(const Json& value) {
  if (value.is_null()) {
    return "";
  }
  if (value.is_array()) {
    std::vector<double> numbers = value;
    return fmt::format("{}", fmt::join(numbers, " "));
  }
  if (!value.is_string()) {
    return value.dump();
  }
  std::string quoted = "\"";
  for (const char c : value.get<std::string>()) {
    quoted += c == '"' ? "\"\"" : std::string(1, c);
  }
  return quoted + "\"";
}

std::string rate_chart(const ModelBench& bench) {
  std::vector<Bar> bars;
  for (const auto& row : bench.rows) {
    for (const bool patched : {false, true}) {
      const auto& timing = patched ? row.patched : row.stock;
      if (timing) {
        const auto rate = timing->rate(row.test);
        bars.push_back(
            {row.test.name(),
             patched ? "patched" : "stock",
             rate.median,
             std::pair{rate.lower_quartile, rate.upper_quartile},
             format_number(rate.median),
             fmt::format(
                 "quartiles {} .. {}",
                 format_number(rate.lower_quartile),
                 format_number(rate.upper_quartile))});
      }
    }
  }
  return bar_chart("Tokens per second", bars, linear_scale(bars, 1));
}

std::string html_table(const ModelBench& bench) {
  std::string text = "<div class=\"wide\"><table><tr>";
  for (const auto& title : kTitles) {
    text += fmt::format("<th>{}</th>", title);
  }
  text += "</tr>\n";
  for (const auto& row : bench.rows) {
    text += fmt::format(
        "<tr><td>{}</td></tr>\n", fmt::join(cells_of(row), "</td><td>"));
  }
  return text + "</table></div>\n";
}

} // namespace

std::string model_bench_table(const ModelBenchRun& run, int width, bool color) {
  std::vector<Table::Column> columns;
  for (const auto& title : kTitles) {
    const bool left = columns.empty();
    columns.push_back({title, left ? Table::Align::left : Table::Align::right});
  }
  Table table(columns);
  for (const auto& row : run.bench.rows) {
    table.add_row(cells_of(row));
  }
  const auto note = plan_note(run);
  const auto lines = wrap_text(setting_text(run), width > 0 ? width : 80);
  return fmt::format(
      "{}\n{}\n{}",
      table.to_string({.width = width, .color = color}),
      fmt::join(lines, "\n"),
      note.empty() ? "" : note + "\n");
}

std::string model_bench_markdown(const ModelBenchRun& run) {
  auto text = fmt::format("| {} |\n|---", fmt::join(kTitles, " | "));
  for (size_t i = 1; i < kTitles.size(); ++i) {
    text += "|--:";
  }
  text += "|\n";
  for (const auto& row : run.bench.rows) {
    text += fmt::format("| {} |\n", fmt::join(cells_of(row), " | "));
  }
  return text + "\n" + setting_text(run) + "\n";
}

Json model_bench_json(const ModelBenchRun& run) {
  auto entries = Json::array();
  for (const auto& row : run.bench.rows) {
    for (const bool patched : {false, true}) {
      if (patched ? row.patched : row.stock) {
        entries.push_back(entry_of(run, row, patched));
      }
    }
  }
  return entries;
}

std::string model_bench_csv(const ModelBenchRun& run) {
  std::string text;
  for (auto entry : model_bench_json(run)) {
    entry.erase("samples_ns");
    entry.erase("samples_ts");
    std::vector<std::string> names, fields;
    for (const auto& [name, value] : entry.items()) {
      names.push_back(name);
      fields.push_back(csv_field(value));
    }
    if (text.empty()) {
      text = fmt::format("{}\n", fmt::join(names, ","));
    }
    text += fmt::format("{}\n", fmt::join(fields, ","));
  }
  return text;
}

std::string model_bench_html(const ModelBenchRun& run) {
  const auto note = plan_note(run);
  return html_page(
      "Speed of a model",
      fmt::format(
          "<p>{}; {}.<br><code>{}</code></p>\n{}"
          "<h2>Tokens per second</h2>\n"
          "<p>pp: a prompt, read at once; tg: tokens, one after the other; "
          "@ d: with so many tokens in the context; busy: beside programs that "
          "keep a core each. Medians of interleaved runs with their "
          "quartiles.</p>\n{}<h2>Figures</h2>\n{}",
          xml_escaped(setting_text(run)),
          xml_escaped(run.date),
          xml_escaped(run.command),
          note.empty() ? "" : fmt::format("<p>{}</p>\n", xml_escaped(note)),
          rate_chart(run.bench),
          html_table(run.bench)));
}

} // namespace zmlx::lab
