#include "zmlx/graph/fold.h"

#include <algorithm>
#include <map>
#include <new>

#include "zmlx/base/errors.h"
#include "zmlx/graph/fuse.h"
#include "zmlx/graph/presets.h"

namespace zmlx::graph {
namespace {

std::vector<Fold>& registry() {
  static std::vector<Fold> folds;
  return folds;
}

Graph after(const Fold& fold, Graph graph) {
  const auto named = [&](const std::exception& error) {
    return fmt::format("fold {}: {}", fold.name, error.what());
  };
  try {
    fold.run(graph);
    graph = compact(graph);
    check(graph);
    return graph;
  } catch (const UserError& error) {
    throw UserError(named(error));
  } catch (const EnvironmentError& error) {
    throw EnvironmentError(named(error));
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw InternalError(named(error));
  }
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
    if (std::find(names.begin(), names.end(), fold.name) != names.end()) {
      graph = after(fold, std::move(graph));
    }
  }
  return graph;
}

void mark(Node& node, const std::string& fold) {
  if (std::find(node.folds.begin(), node.folds.end(), fold) ==
      node.folds.end()) {
    node.folds.push_back(fold);
  }
}

void leave_note(
    Graph& graph,
    const std::string& fold,
    int node,
    const std::string& reason) {
  const auto& changed = graph.nodes[node];
  graph.notes.push_back(
      {fold, label_of(changed), places_of(graph, changed), reason});
}

void fuse_all(
    Graph& graph,
    const std::string& fold,
    const std::function<bool(const Node&, const Node&)>& wanted) {
  // A consumer is visited after its producers, so one sweep reaches chains of
  // any length; it is asked again until none of its operands goes in.
  for (int c = 0; c < static_cast<int>(graph.nodes.size()); c++) {
    std::map<int, std::string> refused; // why, by producer
    bool again = graph.nodes[c].kind == Kind::Kernel;
    while (again) {
      again = false;
      refused.clear();
      for (size_t i = 0; i < graph.nodes[c].operands.size(); i++) {
        int p = graph.nodes[c].operands[i].value.node;
        if (graph.nodes[p].kind != Kind::Kernel ||
            !wanted(graph.nodes[p], graph.nodes[c])) {
          continue;
        }
        if (fuse(graph, p, c, &refused[p])) {
          mark(graph.nodes[c], fold);
          again = true;
          break;
        }
      }
    }
    for (const auto& [producer, why] : refused) {
      leave_note(graph, fold, c, why);
    }
  }
}

} // namespace zmlx::graph
