// Steps of a pass become loops that are assembled: as many of them in one as
// depend on nothing that must be done apart.
#include <algorithm>

#include "zmlx/backend/cpu/pass_builder.h"
#include "zmlx/backend/cpu/scalar.h"

namespace zmlx::backend::cpu {

using lang::Op;
using lang::Type;
using Kind = Loop::Value::Kind;

namespace {

double as_number(Type type, const void* bytes) {
  return with_register_type(type, [bytes](auto zero) {
    return static_cast<double>(*static_cast<const decltype(zero)*>(bytes));
  });
}

} // namespace

/// Which loop of the pass a step belongs to, or what must run before it.
struct PassBuilder::Phases {
  std::vector<int> of; // by register: the number of its loop, or -1
  std::vector<int> after; // of others: how many loops run before it
  int count = 0;
};

/// A loop under way.
struct PassBuilder::Draft {
  BoundPasses::LoopPlan plan;
  std::map<uint16_t, int> values;
  std::map<uint16_t, int> memories; // of registers that are read
  std::map<std::pair<From, int64_t>, int> picks;

  int add_memory(BoundPasses::Pointer pointer) {
    plan.pointers.push_back(pointer);
    return plan.loop.memories++;
  }
  int add(Loop::Value value) {
    plan.loop.values.push_back(value);
    return static_cast<int>(plan.loop.values.size()) - 1;
  }
  void fetch(const BoundPasses::NextRow& next) {
    const int memory = add_memory({From::Access, 0, next.access, next.bytes});
    plan.loop.fetches.push_back({memory, next.stored});
  }
  int memory_of(uint16_t reg, const BoundPasses::Pointer& pointer) {
    const auto [at, added] = memories.try_emplace(reg, 0);
    if (added) {
      at->second = add_memory(pointer);
    }
    return at->second;
  }
  // Of rows that are picked from, and of windows.
  int picked(From from, int64_t number) {
    const auto [at, added] = picks.try_emplace({from, number}, 0);
    if (added) {
      at->second = add_memory({from, 0, number});
    }
    return at->second;
  }
};

bool PassBuilder::may_loop(const Step& step) const {
  return picked_[step.to] ||
      (step.act == Act::Compute && assembles(pass_.code[step.to]));
}

// Memory that a loop reads itself.
bool PassBuilder::loop_reads(const Step& step) const {
  if (step.act != Act::Load) {
    return is_view(step);
  }
  const Access& access = bound_.accesses_[step.access];
  return access.stride() == 1 && access.steady(bound_.width_) &&
      assembles(access.type());
}

// Whether something is stored where this is read.
bool PassBuilder::overwritten(int access) const {
  return std::ranges::any_of(plan_.stores, [&](const auto& store) {
    return store.access >= 0 &&
        bound_.accesses_[store.access].overlaps(bound_.accesses_[access]);
  });
}

// Picks by windows, which loops make at any time and without the places, and
// selections that are the same everywhere: they read no more than they need.
void PassBuilder::leave_to_loops() {
  for (Step& step : plan_.block) {
    if (step.act == Act::Pick && step.windows >= 0 && step.kept < 0 &&
        !overwritten(step.access)) {
      picked_[step.to] = true;
      step.operands = 0;
    }
    if (const auto same = chosen(step.to); same && may_loop(step)) {
      step.in[0] = *same;
      step.operands = 1;
    }
  }
  drop_dead();
}

PassBuilder::Phases PassBuilder::find_phases() const {
  Phases phases;
  phases.of.assign(pass_.code.size(), -1);
  phases.after.assign(pass_.code.size(), 0);
  for (const Step& step : plan_.block) {
    int phase = 0;
    const bool loops = may_loop(step);
    for (int k = 0; k < step.operands; ++k) {
      const int made = phases.of[step.in[k]];
      phase =
          std::max(phase, made >= 0 ? made + !loops : phases.after[step.in[k]]);
    }
    (loops ? phases.of : phases.after)[step.to] = phase;
    phases.count = std::max(phases.count, phase + loops);
  }
  return phases;
}

// Where a register is that loops read.
BoundPasses::Pointer PassBuilder::pointer_to(uint16_t reg) {
  const Step* step = once_[reg] ? nullptr : step_of(reg);
  if (step && (step->act == Act::Alias || raw_[reg])) {
    return {From::Access, 0, step->access};
  }
  if (step && step->act == Act::Fixed) {
    const auto size = static_cast<int64_t>(lang::size_of(step->type));
    return {From::Fixed, 0, step->access, size};
  }
  return {From::Register, reg};
}

// Which operand a selection is, where it is the same one everywhere.
std::optional<uint16_t> PassBuilder::chosen(uint16_t reg) const {
  const auto& it = pass_.code[reg];
  if (it.op != Op::Select || fixed_[it.in[0]].constant < 0 || once_[reg]) {
    return std::nullopt;
  }
  const auto* condition = static_cast<const int32_t*>(fixed_memory(it.in[0]));
  return it.in[*condition != 0 ? 1 : 2];
}

int PassBuilder::loop_value(Draft& draft, const Phases& phases, uint16_t reg) {
  if (const auto found = draft.values.find(reg); found != draft.values.end()) {
    return found->second;
  }
  const auto& it = pass_.code[reg];
  Loop::Value value{};
  value.type = it.type == Type::Bool ? Type::Bool : register_type(it.type);
  if (fixed_[reg].constant >= 0) {
    value.kind = Kind::Number;
    value.instruction.value =
        as_number(register_type(it.type), fixed_memory(reg));
  } else if (once_[reg]) {
    value.kind = Kind::Once;
    value.memory = draft.memory_of(reg, pointer_to(reg));
  } else if (raw_[reg] && it.op == Op::Index) {
    value.kind = Kind::Place;
    value.memory = draft.add_memory({From::Places});
  } else if (picked_[reg]) {
    const Step& pick = *step_of(reg);
    value.kind = Kind::Picked;
    value.stored = bound_.accesses_[pick.access].type();
    value.memory = draft.picked(From::Picked, pick.access);
    value.windows = draft.picked(From::Windows, pick.windows);
    value.picks = bound_.windows_[pick.windows].shape;
  } else if (phases.of[reg] == draft.plan.phase) {
    if (const auto same = chosen(reg)) {
      return loop_value(draft, phases, *same);
    }
    value.kind = Kind::Operation;
    value.instruction = {
        .op = it.op, .type = it.type, .from = it.from, .rounded = it.rounded};
    for (int k = 0; k < lang::arity(it.op); ++k) {
      value.in[k] = loop_value(draft, phases, it.in[k]);
    }
  } else {
    value.kind = Kind::Each;
    value.memory = draft.memory_of(reg, pointer_to(reg));
    value.stored = raw_[reg] ? bound_.accesses_[step_of(reg)->access].type()
                             : register_type(it.type);
  }
  const int number = draft.add(value);
  draft.values.emplace(reg, number);
  return number;
}

PassBuilder::Step* PassBuilder::step_of(uint16_t reg) {
  const auto found = std::find_if(
      plan_.block.begin(), plan_.block.end(), [reg](const Step& step) {
        return step.act != Act::Loop && step.to == reg;
      });
  return found == plan_.block.end() ? nullptr : &*found;
}

// Whether a store may be made by the loop that makes its value, or that reads
// it from memory.
bool PassBuilder::loop_stores(
    const BoundPasses::StorePlan& store,
    const Phases& phases) {
  if (store.each_row || !store.mask || store.access == kNamedOutput) {
    return false;
  }
  const Step* step = step_of(store.value);
  if (phases.of[store.value] < 0 && !(step && loop_reads(*step))) {
    return false;
  }
  if (store.access < 0) {
    return pass_.code[store.value].type == Type::F32;
  }
  const Access& access = bound_.accesses_[store.access];
  const Type type = pass_.code[store.value].type;
  return access.stride() == 1 && access.steady(bound_.width_) &&
      assembles(access.type()) &&
      lang::is_float(access.type()) == (type == Type::F32) &&
      (access.type() != Type::Bool || type == Type::Bool);
}

bool PassBuilder::loop_reduces(size_t number) const {
  const auto& it = pass_.reductions[number];
  return pass_.code[it.value].type == Type::F32 && !once_[it.value] &&
      (it.op == Op::Sum || it.op == Op::MaxOf || it.op == Op::MinOf);
}

bool PassBuilder::loop_adds(const BoundPasses::AddPlan& add) const {
  return add.along && register_type(pass_.code[add.value].type) == Type::F32;
}

// What loops do beside making values, or all that must be done apart.
void PassBuilder::choose_sinks(const Phases& phases) {
  bool all = phases.count <= 1;
  for (size_t r = 0; r < plan_.reductions.size(); ++r) {
    plan_.reductions[r].in_loop = loop_reduces(r);
    all = all && plan_.reductions[r].in_loop;
  }
  for (auto& add : plan_.adds) {
    add.in_loop = loop_adds(add);
    all = all && add.in_loop;
  }
  for (auto& store : plan_.stores) {
    store.direct = loop_stores(store, phases);
    all = all && (store.direct || store.each_row);
  }
  // What a store overwrites must have been read by all.
  const bool overwrites = std::ranges::any_of(plan_.stores, [&](auto& store) {
    return store.access >= 0 && overlaps_input(bound_.accesses_[store.access]);
  });
  for (auto& store : plan_.stores) {
    store.direct = store.direct && (all || !overwrites);
  }
}

// Registers that something reads which is no loop.
std::vector<bool> PassBuilder::read_apart() const {
  std::vector<bool> apart(pass_.code.size());
  for (const Step& step : plan_.block) {
    for (int k = 0; k < step.operands && !may_loop(step); ++k) {
      apart[step.in[k]] = true;
    }
  }
  const auto mark = [&](const auto& plans, auto in_loop) {
    for (const auto& plan : plans) {
      apart[plan.value] = apart[plan.value] || !(plan.*in_loop);
    }
  };
  mark(plan_.stores, &BoundPasses::StorePlan::direct);
  mark(plan_.reductions, &BoundPasses::Reduce::in_loop);
  mark(plan_.adds, &BoundPasses::AddPlan::in_loop);
  return apart;
}

// Inputs of other types than float32 that loops alone read stay as they are,
// and places are no memory.
void PassBuilder::mark_raw(const std::vector<bool>& apart) {
  raw_.assign(pass_.code.size(), false);
  for (const Step& step : plan_.block) {
    const bool may =
        step.act == Act::Index || (step.act == Act::Load && loop_reads(step));
    raw_[step.to] = may && !apart[step.to];
  }
}

// The loop in which something is done with a value.
int PassBuilder::phase_of_sink(const Phases& phases, uint16_t reg) {
  return phases.of[reg] >= 0 ? phases.of[reg] : phases.after[reg];
}

void PassBuilder::draft_sinks(Draft& draft, const Phases& phases) {
  const int phase = draft.plan.phase;
  Loop& loop = draft.plan.loop;
  for (size_t r = 0; r < plan_.reductions.size(); ++r) {
    const uint16_t reg = plan_.reductions[r].value;
    if (plan_.reductions[r].in_loop && phase_of_sink(phases, reg) == phase) {
      const int value = loop_value(draft, phases, reg);
      const auto number = static_cast<int64_t>(draft.plan.reductions.size());
      draft.plan.reductions.push_back(r);
      const int memory = draft.add_memory({From::Partial, 0, number});
      loop.reductions.push_back({pass_.reductions[r].op, value, memory});
    }
  }
  for (size_t a = 0; a < plan_.adds.size(); ++a) {
    const uint16_t reg = plan_.adds[a].value;
    if (plan_.adds[a].in_loop && phase_of_sink(phases, reg) == phase) {
      const int value = loop_value(draft, phases, reg);
      const int memory = draft.add_memory({From::Sum, 0, plan_.adds[a].output});
      loop.adds.push_back({value, memory});
    }
  }
  for (size_t s = 0; s < plan_.stores.size(); ++s) {
    const auto& store = plan_.stores[s];
    if (store.direct && phase_of_sink(phases, store.value) == phase) {
      const int value = loop_value(draft, phases, store.value);
      const bool row = store.access < 0;
      const int memory =
          draft.add_memory({row ? From::Row : From::Access, 0, store.access});
      const Type stored =
          row ? Type::F32 : bound_.accesses_[store.access].type();
      loop.stores.push_back({value, memory, stored, store.stream});
    }
  }
}

// Values that are read by what is not of their loop, or by a later pass.
std::vector<bool> PassBuilder::read_outside(
    const Phases& phases,
    const std::vector<bool>& apart) const {
  std::vector<bool> outside = apart;
  for (const Step& step : plan_.block) {
    outside[step.to] = outside[step.to] || step.kept >= 0;
    for (int k = 0; k < step.operands; ++k) {
      const uint16_t reg = step.in[k];
      const bool other = picked_[reg] ? phases.of[step.to] < 0
                                      : phases.of[step.to] != phases.of[reg];
      outside[reg] = outside[reg] || other;
    }
  }
  return outside;
}

// Where the next row of an input lies that several passes read, as far as rows
// are short enough to stay in L2 from pass to pass.
BoundPasses::NextRow PassBuilder::next_row(const Step& step) const {
  const Access& access = bound_.accesses_[step.access];
  const int64_t bytes = access.offset(bound_.width_) * access.size();
  if (access.stride() != 1 || !access.steady(bound_.width_) ||
      bound_.rows_ < 2 || bytes == 0 ||
      bound_.width_ * access.size() > kKeptBytes) {
    return {};
  }
  const int input = pass_.code[step.to].number;
  const auto reads = [input](const lang::Pass& pass) {
    return std::ranges::any_of(pass.code, [input](const auto& i) {
      return i.op == Op::Input && i.number == input;
    });
  };
  const auto later = passes_.subspan(number_ + 1);
  return {
      step.access,
      std::ranges::count_if(passes_, reads) > 1 ? bytes : 0,
      access.type(),
      std::ranges::none_of(later, reads)};
}

// The next row of inputs that more than one pass reads, while the last of them
// runs.
void PassBuilder::draft_fetches(Draft& draft) {
  const auto memories = draft.memories;
  for (const auto& [reg, memory] : memories) {
    const Step* step = once_[reg] ? nullptr : step_of(reg);
    if (!step || step->act == Act::Index ||
        !(step->act == Act::Alias || raw_[reg])) {
      continue;
    }
    const auto next = next_row(*step);
    if (next.bytes == 0) {
      continue;
    }
    draft.plan.next_rows.push_back(next);
    if (next.last) {
      draft.fetch(next);
    }
  }
}

void PassBuilder::make_loops() {
  if (!binding_.assemble) {
    return;
  }
  const auto without = plan_;
  leave_to_loops();
  if (!draft_loops()) {
    plan_ = without;
  }
}

bool PassBuilder::draft_loops() {
  const Phases phases = find_phases();
  choose_sinks(phases);
  const auto apart = read_apart();
  mark_raw(apart);
  const auto outside = read_outside(phases, apart);
  std::vector<Draft> drafts;
  for (int phase = 0; phase <= phases.count; ++phase) {
    Draft draft;
    draft.plan.phase = phase;
    for (const Step& step : plan_.block) {
      if (phases.of[step.to] == phase && outside[step.to]) {
        const int value = loop_value(draft, phases, step.to);
        const int memory = draft.add_memory({From::Register, step.to});
        draft.plan.loop.stores.push_back(
            {value, memory, register_type(pass_.code[step.to].type)});
        if (step.kept < 0) {
          draft.plan.makes.push_back(step.to);
        }
      }
    }
    draft_sinks(draft, phases);
    if (draft.plan.loop.memories == 0) {
      continue;
    }
    draft_fetches(draft);
    if (!fits(draft.plan.loop) || draft.plan.pointers.size() > kMaxPointers ||
        draft.plan.reductions.size() > kMaxPartials) {
      return false;
    }
    draft.plan.code = assemble(draft.plan.loop);
    if (!draft.plan.code) {
      return false;
    }
    drafts.push_back(std::move(draft));
  }
  place_loops(drafts, phases, apart);
  return true;
}

// Puts the loops among the steps that are left.
void PassBuilder::place_loops(
    std::vector<Draft>& drafts,
    const Phases& phases,
    const std::vector<bool>& apart) {
  std::vector<Step> steps;
  for (int phase = 0; phase <= phases.count; ++phase) {
    for (Step& step : plan_.block) {
      const int own = phases.of[step.to];
      if (own < 0 && phases.after[step.to] == phase) {
        const bool memory = step.act == Act::Alias || step.act == Act::Fixed;
        if (raw_[step.to] || (memory && !apart[step.to])) {
          continue; // the loops know where it is
        }
        steps.push_back(step);
      } else if (own == phase && step.kept >= 0) {
        Step kept = BoundPasses::Step();
        kept.act = Act::Kept;
        kept.to = step.to;
        kept.kept = step.kept;
        steps.push_back(kept);
      }
    }
    for (Draft& draft : drafts) {
      if (draft.plan.phase == phase) {
        Step loop = BoundPasses::Step();
        loop.act = Act::Loop;
        loop.access = static_cast<int>(bound_.loops_.size());
        steps.push_back(loop);
        for (const auto& [reg, memory] : draft.memories) {
          draft.plan.reads.push_back(reg);
        }
        bound_.loops_.push_back(std::move(draft.plan));
      }
    }
  }
  plan_.block = std::move(steps);
}

} // namespace zmlx::backend::cpu
