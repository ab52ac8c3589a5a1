#include <algorithm>

#include <fmt/format.h>

#include "zmlx/base/text.h"
#include "zmlx/lab/bench_report.h"
#include "zmlx/lab/chart.h"
#include "zmlx/lab/page.h"

namespace zmlx::lab {

namespace {

std::string times_of(const KernelBench& k) {
  return fmt::format(
      "{} {}, {}; ours {}, MLX {}",
      k.type,
      k.shapes,
      format_rate(k.bytes_per_second()),
      format_seconds(k.ours.seconds.median),
      format_seconds(k.mlx.seconds.median));
}

// By family, then name, as the catalogue is read.
std::vector<const KernelBench*> in_order(const BenchRun& run) {
  std::vector<const KernelBench*> list;
  for (const auto& k : run.kernels) {
    if (k.skipped.empty()) {
      list.push_back(&k);
    }
  }
  std::stable_sort(list.begin(), list.end(), [](const auto* a, const auto* b) {
    return std::tie(a->family, a->kernel) < std::tie(b->family, b->kernel);
  });
  return list;
}

std::string rate_chart(
    const std::vector<const KernelBench*>& kernels,
    const Roofs& roofs) {
  std::vector<Bar> bars;
  for (const auto* k : kernels) {
    const double share = 100 * k->bytes_per_second() / roofs.triad;
    bars.push_back(
        {k->family,
         k->kernel,
         share,
         {},
         fmt::format("{:.0f} %", share),
         times_of(*k)});
  }
  auto scale = linear_scale(bars, 100);
  scale.unit = " %";
  scale.mark = 100;
  return bar_chart("Share of the memory's triad rate", bars, scale);
}

std::string speedup_chart(const std::vector<const KernelBench*>& kernels) {
  std::vector<Bar> bars;
  for (const auto* k : kernels) {
    const auto& s = k->speedup;
    bars.push_back(
        {k->family,
         k->kernel,
         s.ratio,
         std::pair{s.interval.lower, s.interval.upper},
         format_number(s.ratio) + "x",
         fmt::format(
             "95 %: {} .. {}; against {}\n{}",
             format_number(s.interval.lower),
             format_number(s.interval.upper),
             k->idiomatic ? "MLX's own operations"
                          : "the formula as MLX operations",
             times_of(*k))});
  }
  return bar_chart("Speedup over MLX", bars, ratio_scale(bars));
}

std::string figures(
    const std::vector<const KernelBench*>& kernels,
    const Roofs& roofs) {
  std::string text =
      "<div class=\"wide\"><table><tr><th>kernel</th><th>time</th>"
      "<th>spread</th><th>rate</th><th>of triad</th><th>of read</th>"
      "<th>MLX</th><th>speedup</th><th>95 %</th><th>shapes</th></tr>\n";
  for (const auto* k : kernels) {
    const double rate = k->bytes_per_second();
    text += fmt::format(
        "<tr><td>{}</td><td>{}</td><td>{:.0f} %</td><td>{}</td>"
        "<td>{:.0f} %</td><td>{:.0f} %</td><td>{}</td><td>{}x</td>"
        "<td>{} .. {}</td><td>{}</td></tr>\n",
        xml_escaped(k->kernel),
        format_seconds(k->ours.seconds.median),
        100 * k->ours.seconds.spread(),
        format_rate(rate),
        100 * rate / roofs.triad,
        100 * rate / roofs.read,
        format_seconds(k->mlx.seconds.median),
        format_number(k->speedup.ratio),
        format_number(k->speedup.interval.lower),
        format_number(k->speedup.interval.upper),
        xml_escaped(k->shapes));
  }
  return text + "</table></div>\n";
}

std::string left_out(const BenchRun& run) {
  std::string text;
  for (const auto& k : run.kernels) {
    if (!k.skipped.empty()) {
      text += fmt::format(
          "<li>{}: not timed: {}</li>\n",
          xml_escaped(k.kernel),
          xml_escaped(k.skipped));
    } else if (!k.fallback.empty()) {
      text += fmt::format(
          "<li>{}: ran as MLX operations on both sides: {}</li>\n",
          xml_escaped(k.kernel),
          xml_escaped(k.fallback));
    }
  }
  return text.empty() ? ""
                      : fmt::format("<h2>Notes</h2>\n<ul>\n{}</ul>\n", text);
}

} // namespace

std::string bench_html(const BenchRun& run) {
  const auto kernels = in_order(run);
  const auto body = fmt::format(
      "<p>{}, {}, {} threads, MLX {}; {}. Memory measured in the same run: "
      "triad {}, read {}.<br><code>{}</code></p>\n"
      "<h2>Speed of memory that kernels reach</h2>\n"
      "<p>Bytes read and written a second, as a share of the triad (two arrays "
      "read, one written past the caches). A kernel that mostly reads may "
      "pass 100 %.</p>\n{}"
      "<h2>Speedup over MLX</h2>\n"
      "<p>Ratio of medians of interleaved runs, with its 95 % interval; "
      "logarithmic.</p>\n{}"
      "<h2>Figures</h2>\n{}{}",
      xml_escaped(run.device.cpu),
      xml_escaped(run.simd),
      run.roofs.threads,
      xml_escaped(run.device.mlx_version),
      xml_escaped(run.date),
      format_rate(run.roofs.triad),
      format_rate(run.roofs.read),
      xml_escaped(run.command),
      rate_chart(kernels, run.roofs),
      speedup_chart(kernels),
      figures(kernels, run.roofs),
      left_out(run));
  return html_page("Kernels of ZMLX", body);
}

} // namespace zmlx::lab
