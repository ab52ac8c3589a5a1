#include "zmlx/base/errors.h"
#include "zmlx/graph/view.h"
#include "zmlx/plan/plan.h"
#include "zmlx/plan/step.h"

namespace zmlx::plan {

using graph::Kind;
using graph::Ref;

Replay::Replay(std::shared_ptr<const Plan> plan, State& state)
    : plan_(std::move(plan)),
      state_(state),
      graph_(with_capacity(plan_->graph(), state.capacity())),
      arena_(plan_->peer().allocate(plan_->arena_bytes())) {
  whole_step_ = make_sequence(true);
}

Replay::~Replay() {
  try {
    state_.queue().wait(); // for the sequences, which a queue does not keep
  } catch (...) { // nobody reads the step that failed
  }
}

std::unique_ptr<backend::Sequence> Replay::make_sequence(
    bool with_outputs) const {
  std::vector<backend::SequenceItem> items;
  for (size_t r = 0; r < plan_->rounds().size(); r++) {
    const auto& round = plan_->rounds()[r];
    if (round.only_for_outputs && !with_outputs) {
      continue;
    }
    for (int n : round.nodes) {
      items.push_back(item_of(n, static_cast<int>(r), -1));
    }
    const int last = static_cast<int>(items.size()) - 1;
    for (int n : round.tails) {
      items.push_back(item_of(n, -1, last));
    }
  }
  std::vector<backend::View> kept;
  for (const auto& output : graph_.outputs) {
    if (with_outputs && !graph_.result(output.value.value).target) {
      kept.push_back(view_of(output.value));
    }
  }
  return plan_->peer().sequence(std::move(items), arena_, kept);
}

backend::SequenceItem Replay::item_of(int n, int group, int tail_of) const {
  const auto& node = graph_.nodes[n];
  backend::SequenceItem item{
      .executable = plan_->executable(n),
      .hints = {.group = group, .tail_of = tail_of}};
  for (const auto& operand : node.operands) {
    item.inputs.push_back(view_of(operand));
  }
  for (size_t i = 0; i < node.results.size(); i++) {
    const auto& result = node.results[i];
    item.outputs.push_back(
        result.target ? view_of(*result.target)
                      : view_of(
                            {.value = {n, static_cast<int>(i)},
                             .view = graph::whole(result.shape)}));
  }
  return item;
}

backend::Address Replay::storage_of(Ref ref) const {
  ref = graph::storage_of(graph_, ref);
  const auto& node = graph_.nodes[ref.node];
  if (node.kind == Kind::Kernel) {
    return arena_.address + plan_->offset(ref);
  }
  if (node.kind == Kind::Constant) {
    return plan_->constant(ref.node);
  }
  if (!node.slot) {
    throw internal_error("a step has no input named {}", node.name);
  }
  return node.slot->kind == graph::Slot::Kind::Cell
      ? state_.cell(node.slot->id)
      : state_.slot(node.slot->id);
}

backend::View Replay::view_of(const graph::Operand& operand) const {
  const auto& view = operand.view;
  const auto& storage = graph_.result(graph::storage_of(graph_, operand.value));
  const auto type = graph_.result(operand.value).type;
  backend::View bound{
      .data = storage_of(operand.value) +
          view.offset * static_cast<int64_t>(lang::size_of(type)),
      .type = type,
      .shape = view.shape,
      .strides = view.strides};
  if (view.at.node >= 0) {
    bound.at = storage_of(view.at);
    bound.at_stride = view.at_stride;
    bound.places = graph::element_count(storage.shape) / view.at_stride;
  }
  return bound;
}

Ticket
Replay::step(Ticket ticket, std::optional<int> token, bool with_outputs) {
  if (!with_outputs && !without_outputs_) {
    without_outputs_ = make_sequence(false);
  }
  state_.begin_step(ticket, token, output(Likeliest));
  state_.queue().run(with_outputs ? *whole_step_ : *without_outputs_);
  return state_.end_step();
}

backend::Address Replay::output(int number) const {
  return storage_of(graph_.outputs.at(number).value.value);
}

std::string Replay::name_of_item(int item) const {
  for (const auto& round : plan_->rounds()) {
    for (const auto* nodes : {&round.nodes, &round.tails}) {
      if (item < static_cast<int>(nodes->size())) {
        return graph_.nodes[(*nodes)[item]].name;
      }
      item -= static_cast<int>(nodes->size());
    }
  }
  throw internal_error("a step has no item {}", item);
}

void Replay::read(int number, void* to, size_t bytes) {
  state_.queue().copy_out(to, output(number), bytes);
  check_faults();
}

void Replay::check_faults() const {
  if (const auto fault = whole_step_->fault()) {
    const auto& [item, found] = *fault;
    throw user_error(
        "{}: index {} is outside the {} {}",
        name_of_item(item),
        found.index,
        found.length,
        found.rows ? "rows" : "places of a row");
  }
}

Replay::Choice Replay::read_choice() {
  Choice choice;
  read(Likeliest, &choice.token, sizeof(choice.token));
  read(Largest, &choice.logit, sizeof(choice.logit));
  return choice;
}

uint64_t Replay::begin_read_choice(Choice* to) {
  auto& queue = state_.queue();
  queue.begin_copy_out(&to->token, output(Likeliest), sizeof(to->token));
  return queue.begin_copy_out(&to->logit, output(Largest), sizeof(to->logit));
}

} // namespace zmlx::plan
