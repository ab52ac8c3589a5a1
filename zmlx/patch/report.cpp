#include "zmlx/patch/report.h"

#include <algorithm>
#include <set>

#include <fmt/ranges.h>

#include "zmlx/base/text.h"
#include "zmlx/graph/presets.h"
#include "zmlx/graph/view.h"
#include "zmlx/plan/plan.h"

namespace zmlx {
namespace {

using graph::Kind;

LaunchReport describe(const graph::Graph& graph, const graph::Node& node) {
  LaunchReport launch{
      .label = graph::label_of(node),
      .sites = graph::places_of(graph, node),
      .folds = node.folds,
      .reason = node.reason};
  for (const auto& operand : node.operands) {
    const auto& source = graph.nodes[operand.value.node];
    if (source.kind == Kind::Constant) {
      const auto bytes = graph::element_count(operand.view.shape) *
          static_cast<int64_t>(lang::size_of(source.results[0].type));
      launch.weight_bytes += static_cast<double>(bytes);
    }
  }
  return launch;
}

std::string first_of(const std::vector<std::string>& places) {
  return places.empty() ? "" : places.front();
}

/// A line for each kind of note: the same fold, kernel and reason.
std::string notes_text(const std::vector<FoldNote>& notes, int width) {
  struct Line {
    const FoldNote* first;
    int count;
  };
  std::vector<Line> lines;
  for (const auto& note : notes) {
    const auto same =
        std::find_if(lines.begin(), lines.end(), [&](const Line& line) {
          return line.first->fold == note.fold &&
              line.first->kernel == note.kernel &&
              line.first->reason == note.reason;
        });
    if (same == lines.end()) {
      lines.push_back({&note, 1});
    } else {
      same->count++;
    }
  }
  Table table(
      {{"fold that did not fit"},
       {"kernel"},
       {"count", Table::Align::right},
       {"first place"},
       {"why not"}});
  for (const auto& [note, count] : lines) {
    table.add_row(
        {note->fold,
         note->kernel,
         std::to_string(count),
         first_of(note->sites),
         note->reason});
  }
  return lines.empty() ? std::string()
                       : fmt::format("\n{}", table.to_string({.width = width}));
}

} // namespace

Report make_report(const graph::Graph& folded, const plan::Plan* plan) {
  Report report;
  std::vector<int> round_of(folded.nodes.size(), -1);
  if (plan) {
    report.rounds = static_cast<int>(plan->rounds().size());
    for (int r = 0; r < report.rounds; r++) {
      const auto& round = plan->rounds()[r];
      for (const auto* nodes : {&round.nodes, &round.tails}) {
        for (int n : *nodes) {
          round_of[n] = r;
        }
      }
    }
  }
  for (size_t n = 0; n < folded.nodes.size(); n++) {
    const auto& node = folded.nodes[n];
    if (node.kind != Kind::Kernel && node.kind != Kind::Foreign) {
      continue;
    }
    auto launch = describe(folded, node);
    launch.round = round_of[n];
    report.weight_bytes += launch.weight_bytes;
    if (node.kind == Kind::Kernel) {
      report.pattern_counts[launch.label]++;
    }
    report.launches.push_back(std::move(launch));
  }
  for (const auto& note : folded.notes) {
    report.notes.push_back({note.fold, note.kernel, note.sites, note.reason});
  }
  return report;
}

std::string Report::outcome() const {
  // A reason may have several lines, such as a formula with a caret below.
  auto why = plan_reason;
  std::replace(why.begin(), why.end(), '\n', ' ');
  if (launches.empty()) {
    return fmt::format("not patched: {}; runs as stock MLX", why);
  }
  if (!why.empty()) {
    return fmt::format(
        "patched without a plan: {}; runs as MLX arrays with {} kernels",
        why,
        patched_count());
  }
  return fmt::format("patched: {} launches a token", rounds);
}

int Report::patched_count() const {
  return static_cast<int>(std::count_if(
      launches.begin(), launches.end(), [](const LaunchReport& launch) {
        return launch.reason.empty();
      }));
}

double Report::rounds_per_layer() const {
  return layers == 0 ? 0 : static_cast<double>(rounds) / layers;
}

std::string Report::summary(int width) const {
  struct Kind {
    std::string label;
    int count = 0;
    double bytes = 0;
    std::set<std::string> folds;
    std::string reason;
    std::string site;
  };
  std::vector<Kind> kinds;
  for (const auto& launch : launches) {
    auto same = std::find_if(kinds.begin(), kinds.end(), [&](const Kind& k) {
      return k.label == launch.label && k.reason == launch.reason;
    });
    if (same == kinds.end()) {
      kinds.push_back(
          {.label = launch.label,
           .reason = launch.reason,
           .site = first_of(launch.sites)});
      same = kinds.end() - 1;
    }
    same->count++;
    same->bytes += launch.weight_bytes;
    same->folds.insert(launch.folds.begin(), launch.folds.end());
  }
  Table table(
      {{"kernel"},
       {"count", Table::Align::right},
       {"reads", Table::Align::right},
       {"first place"},
       {"folds, or why not"}});
  for (const auto& kind : kinds) {
    const auto explanation = !kind.reason.empty() ? kind.reason
        : kind.folds.empty() ? std::string("one kernel as it was captured")
                             : fmt::format("{}", fmt::join(kind.folds, ", "));
    table.add_row(
        {kind.label,
         std::to_string(kind.count),
         kind.bytes > 0 ? format_bytes(kind.bytes) : "",
         kind.site,
         explanation});
  }
  if (launches.empty()) {
    return "The model runs as the original: " + plan_reason + "\n";
  }
  auto text = table.to_string({.width = width}) + notes_text(notes, width);
  if (!plan_reason.empty()) {
    return text +
        fmt::format(
               "\nNo plan, the step runs as MLX arrays with these kernels: "
               "{}\n",
               plan_reason);
  }
  text += fmt::format(
      "\n{} operations of {} layers became {} kernels in {} launches "
      "({:.1f} a layer), which read {} of weights a token.\n",
      captured,
      layers,
      launches.size(),
      rounds,
      rounds_per_layer(),
      format_bytes(weight_bytes));
  return text;
}

} // namespace zmlx
