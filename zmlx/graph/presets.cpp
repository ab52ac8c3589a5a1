#include "zmlx/graph/presets.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>

#include "zmlx/base/errors.h"
#include "zmlx/base/text.h"
#include "zmlx/graph/fold.h"
#include "zmlx/graph/fuse.h"

namespace zmlx::graph {

const std::vector<Pattern>& patterns() {
  static const std::vector<Pattern> all{
      {"swiglu_mlp",
       "silu(gate) * up computed as the gate and up products store",
       {"merge_maps", "merge_products", "map_into_product"}},
      {"geglu_mlp",
       "gelu(gate) * up computed as the gate and up products store",
       {"merge_maps", "merge_products", "map_into_product"}},
      {"moe_mlp",
       "the same within mixture-of-experts layers",
       {"merge_maps", "merge_products", "map_into_product"}},
      {"rmsnorm",
       "RMS norms computed as the next product loads",
       {"merge_products", "row_into_product"}},
      {"layernorm",
       "layer norms computed as the next product loads",
       {"merge_products", "row_into_product"}},
      {"softmax",
       "softmax in one kernel with the maps before it",
       {"merge_maps"}},
      {"residual_norm",
       "the residual added as a product stores, the norm as the next one loads",
       {"merge_maps", "map_into_product", "row_into_product"}},
      {"attention",
       "one query over the keys in use, one kernel as it is captured",
       {}},
      {"rope_cache",
       "rotary embedding written straight into the caches",
       {"rope_cache"}},
      {"lm_head",
       "the last norm and the choice of the likeliest token in the launch that "
       "gives the logits",
       {"merge_maps", "row_into_product", "lm_head"}},
      {"narrow_constants",
       "scales read in the narrowest type that holds them exactly",
       {"narrow_constants"}},
  };
  return all;
}

namespace {

const std::map<std::string, std::vector<std::string>>& presets() {
  static const std::map<std::string, std::vector<std::string>> table{
      {"FUSED_ACTIVATIONS", {"swiglu_mlp", "geglu_mlp", "moe_mlp"}},
      {"TRAINING_RECOMMENDED",
       {"swiglu_mlp", "geglu_mlp", "rmsnorm", "layernorm", "residual_norm"}},
      {"ALL_PATTERNS",
       {"moe_mlp",
        "swiglu_mlp",
        "geglu_mlp",
        "rmsnorm",
        "layernorm",
        "softmax",
        "residual_norm",
        "attention",
        "rope_cache",
        "lm_head",
        "narrow_constants"}},
  };
  return table;
}

bool is_fold(const std::string& name) {
  const auto& folds = all_folds();
  return std::any_of(folds.begin(), folds.end(), [&](const Fold& fold) {
    return fold.name == name;
  });
}

void add_folds(const std::string& name, std::set<std::string>& folds) {
  if (auto preset = presets().find(name); preset != presets().end()) {
    for (const auto& pattern : preset->second) {
      add_folds(pattern, folds);
    }
    return;
  }
  for (const auto& pattern : patterns()) {
    if (pattern.name == name) {
      folds.insert(pattern.folds.begin(), pattern.folds.end());
      return;
    }
  }
  if (is_fold(name)) {
    folds.insert(name);
    return;
  }
  std::vector<std::string> known;
  for (const auto& pattern : patterns()) {
    known.push_back(pattern.name);
  }
  for (const auto& preset : presets()) {
    known.push_back(preset.first);
  }
  for (const auto& fold : all_folds()) {
    known.push_back(fold.name);
  }
  throw user_error(
      "unknown pattern '{}'.{} Patterns are listed by `zmlx patch --list`.",
      name,
      did_you_mean(name, known));
}

} // namespace

std::vector<std::string> folds_of(
    const std::vector<std::string>& names,
    const std::vector<std::string>& exclude) {
  std::set<std::string> chosen;
  for (const auto& name : names) {
    add_folds(name, chosen);
  }
  if (names.empty()) {
    for (const auto& fold : all_folds()) {
      chosen.insert(fold.name);
    }
  }
  // What is excluded never happens: every fold of an excluded pattern goes,
  // also where another pattern has it.
  std::set<std::string> dropped;
  for (const auto& name : exclude) {
    add_folds(name, dropped);
  }
  std::vector<std::string> result;
  for (const auto& fold : all_folds()) {
    if (chosen.contains(fold.name) && !dropped.contains(fold.name)) {
      result.push_back(fold.name);
    }
  }
  return result;
}

namespace {

struct Uses {
  std::set<lang::Op> ops;
  int products = 0;
  int squares_summed = 0; // rms norms
  int deviations_summed = 0; // layer norms
};

Uses uses_of(const lang::Body& body) {
  Uses uses;
  std::unordered_set<lang::Weight, FieldsHash> weights;
  lang::for_each_node(lang::roots(body), [&](const lang::Node& node) {
    uses.ops.insert(node.op);
    if (node.op == lang::Op::Product) {
      weights.insert(node.weight);
    }
    const auto* x = node.op == lang::Op::Sum ? node.args[0].get() : nullptr;
    if (x && x->op == lang::Op::Mul && lang::equal(x->args[0], x->args[1])) {
      (x->args[0]->op == lang::Op::Sub ? uses.deviations_summed
                                       : uses.squares_summed)++;
    }
  });
  uses.products = static_cast<int>(weights.size());
  return uses;
}

} // namespace

std::string label_of(const Node& node) {
  if (node.kind != Kind::Kernel) {
    return node.name;
  }
  auto uses = uses_of(node.body);
  auto has = [&](lang::Op op) { return uses.ops.contains(op); };
  if (has(lang::Op::Attention)) {
    return "attention";
  }
  if (node.tail_of >= 0) {
    return "lm_head";
  }
  if (node.results[0].target || node.group >= 0) {
    return "rope_cache";
  }
  if (uses.products == 2 && has(lang::Op::Sigmoid)) {
    return "swiglu_mlp";
  }
  if (uses.products == 2 && (has(lang::Op::Tanh) || has(lang::Op::Erf))) {
    return "geglu_mlp";
  }
  if (uses.products > 0) {
    std::string label = uses.squares_summed ? "rmsnorm + "
        : uses.deviations_summed            ? "layernorm + "
                                            : "";
    label += uses.products > 1 ? fmt::format("{} products", uses.products)
                               : std::string("product");
    return has(lang::Op::Add) && node.body.outputs.size() == 1 &&
            node.body.outputs[0].value->op == lang::Op::Add
        ? label + " + residual"
        : label;
  }
  if (uses.squares_summed || uses.deviations_summed) {
    return uses.squares_summed ? "rmsnorm" : "layernorm";
  }
  return node.name;
}

namespace {

/// "model.layers.3.mlp.up_proj.weight" -> "model.layers.3.mlp.up_proj".
std::string module_of(const std::string& weight) {
  for (const char* end : {".weight", ".scales", ".biases", ".bias"}) {
    if (weight.ends_with(end)) {
      return weight.substr(0, weight.size() - std::string(end).size());
    }
  }
  return weight;
}

} // namespace

std::vector<std::string> places_of(const Graph& graph, const Node& node) {
  std::set<std::string> modules;
  for (const auto& operand : node.operands) {
    const auto& source = graph.nodes[operand.value.node];
    if (source.kind == Kind::Constant && !source.name.empty()) {
      modules.insert(module_of(source.name));
    }
  }
  return modules.empty()
      ? node.sites
      : std::vector<std::string>(modules.begin(), modules.end());
}

} // namespace zmlx::graph
