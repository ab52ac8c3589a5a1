#include "zmlx/backend/cpu/pool.h"
#include "zmlx/base/errors.h"
#include "zmlx/graph/view.h"
#include "zmlx/plan/plan.h"
#include "zmlx/plan/step.h"

namespace zmlx::plan {

using graph::Kind;
using graph::Ref;

Replay::Replay(std::shared_ptr<const Plan> plan, State& state)
    : plan_(std::move(plan)), state_(state), arena_(plan_->arena_bytes()) {
  for (const auto& round : plan_->rounds()) {
    Round bound;
    bound.only_for_outputs = round.only_for_outputs;
    for (int n : round.nodes) {
      bound.launches.push_back(bind(n));
    }
    for (int n : round.tails) {
      bound.tails.push_back(bind(n));
    }
    rounds_.push_back(std::move(bound));
  }
}

std::unique_ptr<backend::Launch> Replay::bind(int n) const {
  const auto& node = plan_->graph().nodes[n];
  std::vector<backend::View> inputs;
  for (const auto& operand : node.operands) {
    inputs.push_back(view_of(operand));
  }
  std::vector<backend::View> outputs;
  for (size_t i = 0; i < node.results.size(); i++) {
    const auto& result = node.results[i];
    outputs.push_back(
        result.target ? view_of(*result.target)
                      : view_of(
                            {.value = {n, static_cast<int>(i)},
                             .view = graph::whole(result.shape)}));
  }
  return plan_->executable(n)->bind(inputs, outputs);
}

const int32_t* Replay::cell_of(Ref ref) const {
  const auto& name = plan_->graph().nodes[ref.node].name;
  if (name == step_names::token) {
    return state_.token_cell();
  }
  if (name == step_names::position) {
    return state_.position_cell();
  }
  if (name == step_names::length) {
    return state_.length_cell();
  }
  throw internal_error("a step has no input named {}", name);
}

std::byte* Replay::storage_of(Ref ref) const {
  const auto& graph = plan_->graph();
  ref = graph::storage_of(graph, ref);
  const auto& node = graph.nodes[ref.node];
  if (node.kind == Kind::Kernel) {
    return arena_.data() + plan_->offset(ref);
  }
  if (node.kind == Kind::Constant) {
    auto array = *node.array;
    return const_cast<std::byte*>(array.data<std::byte>());
  }
  if (auto cache = step_names::parse_cache(node.name)) {
    return static_cast<std::byte*>(
        cache->is_keys ? state_.keys(cache->layer)
                       : state_.values(cache->layer));
  }
  return reinterpret_cast<std::byte*>(const_cast<int32_t*>(cell_of(ref)));
}

backend::View Replay::view_of(const graph::Operand& operand) const {
  const auto& view = operand.view;
  auto type = plan_->graph().result(operand.value).type;
  backend::View bound{
      .data = storage_of(operand.value) +
          view.offset * static_cast<int64_t>(lang::size_of(type)),
      .type = type,
      .shape = view.shape,
      .strides = view.strides};
  if (view.at.node >= 0) {
    bound.at = cell_of(view.at);
    bound.at_stride = view.at_stride;
  }
  return bound;
}

void Replay::run_round(const Round& round, int part, int parts) {
  for (const auto& launch : round.launches) {
    launch->run(part, parts);
  }
  if (!round.tails.empty() &&
      done_.fetch_add(1, std::memory_order_acq_rel) + 1 == parts) {
    done_.store(0, std::memory_order_relaxed);
    for (const auto& tail : round.tails) {
      tail->run(0, 1);
    }
  }
}

Ticket Replay::step(Ticket ticket, int token, bool with_outputs) {
  state_.begin_step(ticket, token);
  auto& pool = backend::cpu::Pool::shared();
  pool.run([&](int part, int parts) {
    const Round* previous = nullptr;
    for (const auto& round : rounds_) {
      if (round.only_for_outputs && !with_outputs) {
        continue;
      }
      if (previous) {
        // Whoever is done first begins to fetch what comes next.
        for (const auto& launch : round.launches) {
          launch->prefetch(part, parts);
        }
        pool.barrier();
      }
      run_round(round, part, parts);
      previous = &round;
    }
  });
  return state_.end_step();
}

const void* Replay::output(int number) const {
  return storage_of(plan_->graph().outputs.at(number).value.value);
}

} // namespace zmlx::plan
