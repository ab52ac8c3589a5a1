#include "zmlx/plan/plan.h"

#include <algorithm>
#include <map>

#include "zmlx/base/errors.h"
#include "zmlx/graph/view.h"
#include "zmlx/op/executables.h"
#include "zmlx/plan/cells.h"

namespace zmlx::plan {

using graph::Kind;
using graph::Node;
using graph::Ref;

namespace {

constexpr int64_t kAlignment = 64;

bool is_cell(const graph::Graph& graph, Ref ref, int id) {
  return ref.node >= 0 &&
      graph.nodes[ref.node].slot ==
      graph::Slot{.kind = graph::Slot::Kind::Cell, .id = id};
}

/// Whether a recurrent state is read where it was and written where it will be:
/// two entries, never the same.
bool are_two_entries(
    const graph::Graph& graph,
    const graph::View& read,
    const graph::View& written) {
  return is_cell(graph, read.at, Cells::Latest) &&
      is_cell(graph, written.at, Cells::Next);
}

/// An array of the state must not be read as it was before a write, but for the
/// entry that the step before left: the plan does not order the two.
bool reads_overwritten(const graph::Graph& graph, std::string* why) {
  std::map<Ref, graph::View> written;
  for (const auto& node : graph.nodes) {
    for (const auto& result : node.results) {
      if (result.target &&
          !written.emplace(result.target->value, result.target->view).second) {
        *why = fmt::format("{} writes what is written already", node.name);
        return true;
      }
    }
  }
  for (const auto& node : graph.nodes) {
    for (const auto& operand : node.operands) {
      const auto found = written.find(operand.value);
      if (found != written.end() &&
          !are_two_entries(graph, operand.view, found->second)) {
        *why = fmt::format(
            "{} reads {} as it was before the step",
            node.name,
            graph.nodes[operand.value.node].name);
        return true;
      }
    }
  }
  return false;
}

/// The executable of a kernel node; null with *why where there is none.
std::shared_ptr<const backend::Executable>
executable_of(const graph::Graph& graph, const Node& node, std::string* why) {
  std::string reason;
  auto executable = op::executable(
      node.body, graph::operand_types(graph, node), graph.device, &reason);
  if (!executable) {
    *why = fmt::format("{}: {}", node.name, reason);
  }
  return executable;
}

/// Outputs are read from the arena: each is the whole of what a kernel made, or
/// a cache, which the state owns.
bool can_give_outputs(const graph::Graph& graph, std::string* why) {
  for (const auto& output : graph.outputs) {
    const auto& result = graph.result(output.value.value);
    if (result.target) {
      continue;
    }
    if (graph.nodes[output.value.value.node].kind != Kind::Kernel ||
        !graph::is_whole(
            output.value.view, graph::element_count(result.shape))) {
      *why = fmt::format(
          "output {} is not the whole of a kernel's result", output.name);
      return false;
    }
  }
  return true;
}

} // namespace

std::shared_ptr<const Plan> Plan::make(
    std::shared_ptr<const graph::Graph> graph,
    std::string* why) {
  std::string unheard;
  if (!why) {
    why = &unheard;
  }
  auto plan = std::make_shared<Plan>();
  plan->graph_ = std::move(graph);
  plan->peer_ = backend::find_peer(plan->graph_->device);
  if (!plan->peer_) {
    *why = "no peer for the device of the step";
    return nullptr;
  }
  if (!plan->find_executables(why) || !can_give_outputs(*plan->graph_, why) ||
      reads_overwritten(*plan->graph_, why)) {
    return nullptr;
  }
  const auto& nodes = plan->graph_->nodes;
  plan->constants_.resize(nodes.size());
  for (size_t n = 0; n < nodes.size(); n++) {
    if (nodes[n].kind == Kind::Constant) {
      plan->constants_[n] = plan->peer_->import(*nodes[n].array);
    }
  }
  plan->schedule();
  plan->mark_only_for_outputs();
  plan->place();
  return plan;
}

bool Plan::find_executables(std::string* why) {
  const auto& nodes = graph_->nodes;
  executables_.resize(nodes.size());
  for (size_t n = 0; n < nodes.size(); n++) {
    if (nodes[n].kind == Kind::Foreign) {
      *why = fmt::format("{}: {}", nodes[n].name, nodes[n].reason);
      return false;
    }
    if (nodes[n].kind == Kind::Kernel) {
      executables_[n] = executable_of(*graph_, nodes[n], why);
      if (!executables_[n]) {
        return false;
      }
    }
  }
  return true;
}

/// Orders groups: a group runs once all that any of its members needs has run.
void Plan::schedule() {
  const auto& nodes = graph_->nodes;
  std::map<int, std::vector<int>> members; // by first member
  std::map<int, int> first_of_group;
  std::vector<int> unit(nodes.size(), -1);
  for (size_t n = 0; n < nodes.size(); n++) {
    if (nodes[n].kind != Kind::Kernel) {
      continue;
    }
    int first = static_cast<int>(n);
    if (nodes[n].group >= 0) {
      first = first_of_group.emplace(nodes[n].group, first).first->second;
    }
    if (nodes[n].tail_of >= 0) {
      first = unit[nodes[n].tail_of];
    }
    unit[n] = first;
    members[first].push_back(static_cast<int>(n));
  }
  std::vector<bool> done(nodes.size(), false);
  auto ready = [&](const std::vector<int>& group) {
    bool all = true;
    for (int n : group) {
      graph::for_each_ref(nodes[n], [&](Ref ref, int) {
        const int needed = ref.node;
        bool within = nodes[n].tail_of >= 0 && unit[needed] == unit[n];
        all = all && (unit[needed] < 0 || done[needed] || within);
      });
    }
    return all;
  };
  while (!members.empty()) {
    auto next = std::find_if(members.begin(), members.end(), [&](auto& entry) {
      return ready(entry.second);
    });
    if (next == members.end()) {
      throw internal_error("a group of launches waits for itself");
    }
    Round round;
    for (int n : next->second) {
      done[n] = true;
      (nodes[n].tail_of >= 0 ? round.tails : round.nodes).push_back(n);
    }
    rounds_.push_back(std::move(round));
    members.erase(next);
  }
}

namespace {

std::vector<int> all_of(const Plan::Round& round) {
  auto all = round.nodes;
  all.insert(all.end(), round.tails.begin(), round.tails.end());
  return all;
}

} // namespace

void Plan::mark_only_for_outputs() {
  std::vector<bool> for_state(graph_->nodes.size(), false);
  for (size_t n = graph_->nodes.size(); n-- > 0;) {
    const auto& node = graph_->nodes[n];
    for (const auto& result : node.results) {
      for_state[n] = for_state[n] || result.target.has_value();
    }
    if (for_state[n]) {
      graph::for_each_ref(
          node, [&](Ref ref, int) { for_state[ref.node] = true; });
    }
  }
  for (auto& round : rounds_) {
    auto nodes = all_of(round);
    round.only_for_outputs = std::none_of(
        nodes.begin(), nodes.end(), [&](int n) { return for_state[n]; });
  }
}

/// Gives each result a place in the arena, first fit among the values that are
/// alive in the same rounds.
void Plan::place() {
  const auto& nodes = graph_->nodes;
  std::vector<int> round_of(nodes.size(), -1);
  for (size_t r = 0; r < rounds_.size(); r++) {
    for (int n : all_of(rounds_[r])) {
      round_of[n] = static_cast<int>(r);
    }
  }
  std::vector<int> last_round(nodes.size(), -1);
  for (size_t n = 0; n < nodes.size(); n++) {
    last_round[n] = std::max(last_round[n], round_of[n]);
    graph::for_each_ref(nodes[n], [&](Ref ref, int) {
      const int needed = ref.node;
      last_round[needed] = std::max(last_round[needed], round_of[n]);
    });
  }
  for (const auto& output : graph_->outputs) {
    last_round[output.value.value.node] = static_cast<int>(rounds_.size());
  }
  struct Block {
    int64_t begin, end;
    int last;
  };
  std::vector<Block> alive; // by begin
  offsets_.resize(nodes.size());
  for (size_t r = 0; r < rounds_.size(); r++) {
    std::erase_if(
        alive, [&](const Block& b) { return b.last < static_cast<int>(r); });
    for (int n : all_of(rounds_[r])) {
      offsets_[n].assign(nodes[n].results.size(), -1);
      for (size_t i = 0; i < nodes[n].results.size(); i++) {
        const auto& result = nodes[n].results[i];
        if (result.target) {
          continue;
        }
        int64_t bytes = graph::element_count(result.shape) *
            static_cast<int64_t>(lang::size_of(result.type));
        bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
        int64_t begin = 0;
        auto at = alive.begin();
        while (at != alive.end() && at->begin < begin + bytes) {
          begin = at->end;
          ++at;
        }
        alive.insert(at, {begin, begin + bytes, last_round[n]});
        offsets_[n][i] = begin;
        arena_bytes_ =
            std::max(arena_bytes_, static_cast<size_t>(begin + bytes));
      }
    }
  }
}

} // namespace zmlx::plan
