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

/// "model.layers.3.mlp.up_proj.weight" -> "model.layers.3.mlp.up_proj".
std::string module_of(const std::string& weight) {
  for (const char* end : {".weight", ".scales", ".biases", ".bias"}) {
    if (weight.ends_with(end)) {
      return weight.substr(0, weight.size() - std::string(end).size());
    }
  }
  return weight;
}

Launch describe(const graph::Graph& graph, const graph::Node& node) {
  Launch launch{
      .label = graph::label_of(node),
      .folds = node.folds,
      .reason = node.reason};
  std::set<std::string> sites;
  for (const auto& operand : node.operands) {
    const auto& source = graph.nodes[operand.value.node];
    if (source.kind != Kind::Constant) {
      continue;
    }
    auto bytes = graph::element_count(operand.view.shape) *
        static_cast<int64_t>(lang::size_of(source.results[0].type));
    launch.weight_bytes += static_cast<double>(bytes);
    if (!source.name.empty()) {
      sites.insert(module_of(source.name));
    }
  }
  launch.sites.assign(sites.begin(), sites.end());
  if (sites.empty()) {
    launch.sites = node.sites;
  }
  return launch;
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
  return report;
}

int Report::patched_count() const {
  return static_cast<int>(
      std::count_if(launches.begin(), launches.end(), [](const Launch& launch) {
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
           .site = launch.sites.empty() ? "" : launch.sites.front()});
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
  auto text = table.to_string({.width = width});
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
