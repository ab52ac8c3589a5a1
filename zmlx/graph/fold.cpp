#include "zmlx/graph/fold.h"

#include <algorithm>

#include "zmlx/base/errors.h"
#include "zmlx/graph/fuse.h"

namespace zmlx::graph {
namespace {

std::vector<Fold>& registry() {
  static std::vector<Fold> folds;
  return folds;
}

} // namespace

AddFold::AddFold(Fold fold) {
  auto& folds = registry();
  auto place = std::find_if(folds.begin(), folds.end(), [&](const Fold& other) {
    return other.order > fold.order;
  });
  folds.insert(place, std::move(fold));
}

const std::vector<Fold>& all_folds() {
  return registry();
}

Graph apply_folds(const Graph& lifted, const std::vector<std::string>& names) {
  for (const auto& name : names) {
    auto known = [&](const Fold& fold) { return fold.name == name; };
    if (std::none_of(registry().begin(), registry().end(), known)) {
      throw user_error("unknown fold '{}'", name);
    }
  }
  Graph graph = lifted;
  for (const auto& fold : registry()) {
    if (std::find(names.begin(), names.end(), fold.name) == names.end()) {
      continue;
    }
    fold.run(graph);
    graph = compact(graph);
    check(graph);
  }
  return graph;
}

void mark(Node& node, const std::string& fold) {
  if (std::find(node.folds.begin(), node.folds.end(), fold) ==
      node.folds.end()) {
    node.folds.push_back(fold);
  }
}

void fuse_all(
    Graph& graph,
    const std::string& fold,
    const std::function<bool(const Node&, const Node&)>& wanted) {
  // A consumer is visited after its producers, so one sweep reaches chains of
  // any length; it is asked again until none of its operands goes in.
  for (int c = 0; c < static_cast<int>(graph.nodes.size()); c++) {
    bool again = graph.nodes[c].kind == Kind::Kernel;
    while (again) {
      again = false;
      for (size_t i = 0; i < graph.nodes[c].operands.size(); i++) {
        int p = graph.nodes[c].operands[i].value.node;
        std::string why;
        if (graph.nodes[p].kind == Kind::Kernel &&
            wanted(graph.nodes[p], graph.nodes[c]) && fuse(graph, p, c, &why)) {
          mark(graph.nodes[c], fold);
          again = true;
          break;
        }
      }
    }
  }
}

} // namespace zmlx::graph
