#include "zmlx/backend/cpu/pass_builder.h"

#include "zmlx/backend/cpu/scalar.h"
#include "zmlx/backend/faults.h"
#include "zmlx/lang/space.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Op;
using lang::Type;

lang::Shape at_least_1d(lang::Shape shape) {
  return shape.empty() ? lang::Shape{1} : shape;
}

Type type_of(const lang::Instruction& i) {
  return register_type(i.type);
}

} // namespace

BoundPasses::BoundPasses(
    std::span<const lang::Pass> passes,
    int slots,
    const Binding& binding)
    : slots_(slots) {
  Binding own = binding;
  own.space = at_least_1d(own.space);
  width_ = own.space.back();
  if (own.walk == Walk::Flat) {
    width_ = own.run > 0 ? own.run : lang::count(own.space);
  }
  rows_ = own.walk == Walk::Flat && own.run == 0 ? 1
      : width_ == 0 ? lang::count({own.space.data(), own.space.size() - 1})
                    : lang::count(own.space) / width_;
  if (slots > kMaxSlots) {
    throw internal_error("vector program: {} slots", slots);
  }
  if (own.walk == Walk::Rows) {
    choose_kept(passes);
  }
  for (size_t p = 0; p < passes.size(); ++p) {
    PassBuilder(*this, passes, p, own).build();
  }
  if (own.walk == Walk::Rows) {
    overlap_rows();
    choose_row_loop();
  }
}

bool BoundPasses::rebind(
    std::span<void* const> inputs,
    std::span<void* const> outputs) {
  const auto aligned = [](const void* p) {
    return reinterpret_cast<uintptr_t>(p) % 64 == 0;
  };
  if (streams_ && !std::all_of(outputs.begin(), outputs.end(), aligned)) {
    return false;
  }
  for (size_t i = 0; i < accesses_.size(); ++i) {
    const int source = sources_[i];
    accesses_[i].move_to(source >= 0 ? inputs[source] : outputs[~source]);
  }
  return true;
}

PassBuilder::PassBuilder(
    BoundPasses& bound,
    std::span<const lang::Pass> passes,
    size_t number,
    const Binding& binding)
    : bound_(bound),
      passes_(passes),
      number_(number),
      pass_(passes[number]),
      binding_(binding),
      given_(given_by_input(pass_.code)),
      needed_(pass_.code.size()),
      once_(pass_.code.size()),
      shared_(pass_.code.size()),
      fixed_(pass_.code.size()),
      picked_(pass_.code.size()) {}

void PassBuilder::build() {
  const size_t first_fixed = bound_.fixed_.size();
  check();
  choose_stores();
  mark_needed();
  for (size_t i = 0; i < pass_.code.size(); ++i) {
    if (needed_[i]) {
      resolve(i);
    }
  }
  add_reductions();
  place_stores();
  drop_dead();
  make_loops();
  place_direct();
  load_overwritten();
  assign_registers();
  free_fixed(first_fixed);
  bound_.passes_.push_back(std::move(plan_));
}

// What lower() does not promise: it knows no limits and no arrays.
void PassBuilder::check() const {
  const size_t count = pass_.code.size();
  require(
      count <= kMaxCode && pass_.reductions.size() <= kMaxReductions,
      "{} instructions and {} reductions in a pass",
      count,
      pass_.reductions.size());
  for (const auto& s : pass_.stores) {
    const bool fits = s.output >= kNamedOutput &&
        s.output < static_cast<int>(binding_.outputs.size());
    require(fits, "store into output {}", s.output);
  }
}

void PassBuilder::choose_stores() {
  for (const auto& store : pass_.stores) {
    if (binding_.walk == Walk::Store) {
      const auto& shape = binding_.outputs[store.output].shape;
      if (shape.empty() || shape.back() != binding_.space.back()) {
        continue;
      }
    }
    stores_.push_back(store);
  }
}

void PassBuilder::mark_needed() {
  for (const auto& store : stores_) {
    needed_[store.value] = true;
  }
  for (const auto& reduction : pass_.reductions) {
    needed_[reduction.value] = true;
  }
  for (size_t i = pass_.code.size(); i-- > 0;) {
    const auto& instruction = pass_.code[i];
    const bool there = kept(i) && kept(i)->made;
    for (int k = 0; needed_[i] && !there && k < lang::operands(instruction);
         ++k) {
      needed_[instruction.in[k]] = true;
    }
  }
}

int PassBuilder::add_access(Access access, int source) {
  bound_.sources_.push_back(source);
  bound_.accesses_.push_back(std::move(access));
  return static_cast<int>(bound_.accesses_.size()) - 1;
}

lang::Shape PassBuilder::row_space() const {
  return at_least_1d({binding_.space.begin(), binding_.space.end() - 1});
}

// An input as it meets the others.
View PassBuilder::meeting(int input) const {
  View view = binding_.inputs[input];
  if (static_cast<size_t>(input) < binding_.roles.size() &&
      binding_.roles[input] == lang::Role::EachRow) {
    view.shape.push_back(1);
    view.strides.push_back(0);
  }
  return view;
}

PassBuilder::Step PassBuilder::step_of(Act act, size_t i) {
  Step step;
  step.act = act;
  step.to = static_cast<uint16_t>(i);
  return step;
}

void PassBuilder::put_step(Step step, bool once) {
  if (put_fixed(step, once)) {
    return;
  }
  for (size_t k = step.operands; k < kMaxOperands; ++k) { // any that is there
    step.in[k] = step.operands > 0 ? step.in[0] : step.to;
  }
  // Loops pick by windows as fast as they read what was kept.
  if (auto* own = kept(step.to); own && !once && step.windows < 0) {
    step.kept = own->offset;
    own->made = true;
  }
  once_[step.to] = once;
  if (!once) {
    return plan_.block.push_back(step);
  }
  shared_[step.to] = rows_share(step);
  const size_t at = shared_[step.to] ? plan_.shared++ : plan_.once.size();
  plan_.once.insert(plan_.once.begin() + static_cast<int64_t>(at), step);
}

// Whether a value that each row has is the same in all of them.
bool PassBuilder::rows_share(const Step& step) const {
  if (step.act == Act::LoadOnce) {
    return bound_.accesses_[step.access].one();
  }
  return step.act == Act::Compute &&
      std::all_of(
             step.in.begin(),
             step.in.begin() + step.operands,
             [this](uint16_t reg) { return shared_[reg]; });
}

void PassBuilder::resolve(size_t i) {
  const auto& instruction = pass_.code[i];
  if (const auto* there = kept(i); there && there->made) {
    Step step = step_of(Act::Kept, i);
    step.kept = there->offset;
    return put_step(step, false);
  }
  switch (instruction.op) {
    case Op::Input:
      return resolve_input(i);
    case Op::Pick:
      return resolve_pick(i);
    case Op::Take:
      return resolve_take(i);
    case Op::Random:
      return resolve_random(i);
    case Op::CumSum:
      return resolve_scan(i);
    case Op::Index:
      require(binding_.walk != Walk::Flat, "Index in a flat walk");
      return put_step(step_of(Act::Index, i), false);
    case Op::RowIndex:
      require(binding_.walk != Walk::Flat, "RowIndex in a flat walk");
      return put_step(step_of(Act::RowIndex, i), true);
    case Op::Constant:
      return resolve_number(i, instruction.value);
    case Op::Width:
      return resolve_number(i, static_cast<double>(binding_.space.back()));
    case Op::Extent: {
      const auto& shape = binding_.inputs[instruction.number].shape;
      const int axis = instruction.axis;
      const auto rank = static_cast<int>(shape.size());
      return resolve_number(
          i, static_cast<double>(shape.at(axis < 0 ? axis + rank : axis)));
    }
    case Op::Slot:
      return resolve_slot(i);
    default:
      return resolve_compute(i);
  }
}

void PassBuilder::resolve_number(size_t i, double value) {
  BoundPasses::Uniform memory;
  with_register_type(type_of(pass_.code[i]), [&](auto zero) {
    using T = decltype(zero);
    for (size_t lane = 0; lane < kUniformLanes; ++lane) {
      reinterpret_cast<T*>(memory.bytes)[lane] = convert<T>(value);
    }
  });
  put_constant(static_cast<uint16_t>(i), memory);
}

void PassBuilder::resolve_slot(size_t i) {
  const auto& instruction = pass_.code[i];
  const auto reg = static_cast<uint16_t>(i);
  if (binding_.walk == Walk::Store) {
    require(
        instruction.type == Type::F32,
        "accumulator of {}",
        lang::name_of(instruction.type));
    Step step = step_of(Act::Accumulator, i);
    step.access = instruction.number;
    return put_step(step, false);
  }
  const int slot = instruction.number;
  once_[i] = true;
  plan_.places.push_back(
      {reg,
       BoundPasses::Place::Part::Slot,
       slot * sizeof(BoundPasses::Uniform)});
}

void PassBuilder::resolve_input(size_t i) {
  const auto& instruction = pass_.code[i];
  const View view = meeting(instruction.number);
  Access access(view, binding_.space, "vector program: input");
  require(
      register_type(lang::compute_type(view.type)) == type_of(instruction),
      "input {} of type {} read as {}",
      instruction.number,
      lang::name_of(view.type),
      lang::name_of(instruction.type));
  const bool steady = access.steady(bound_.width_);
  const int64_t stride = access.stride();
  const bool once = (steady && stride == 0) || bound_.width_ <= 1;
  Step step = step_of(Act::Load, i);
  step.load = find_load(view.type, !once && stride == 1);
  const bool alias = view.type == type_of(instruction) &&
      lang::size_of(view.type) >= 4 && steady && stride == 1;
  step.act = once ? Act::LoadOnce : alias ? Act::Alias : Act::Load;
  step.access = add_access(std::move(access), instruction.number);
  read_.push_back(step.access);
  put_step(step, once);
}

// in[0] is which of `length` places or rows is read.
void PassBuilder::set_index(size_t i, int64_t length, Step& step) const {
  const auto& instruction = pass_.code[i];
  const auto index = instruction.in[0];
  step.type = type_of(pass_.code[index]);
  require(
      !lang::is_float(step.type) && binding_.walk != Walk::Flat,
      "{} by {} from input {}",
      lang::name_of(instruction.op),
      lang::name_of(step.type),
      instruction.number);
  step.operands = 1;
  step.in[0] = index;
  step.mask[0] = mask(index);
  step.load = find_load(binding_.inputs[instruction.number].type, true);
  step.length = length;
  step.input = given_[index] ? instruction.number : -1;
}

void PassBuilder::resolve_pick(size_t i) {
  const auto& instruction = pass_.code[i];
  const View& view = binding_.inputs[instruction.number];
  require(
      !view.shape.empty(), "Pick from input {} of no axes", instruction.number);
  Step step = step_of(Act::Pick, i);
  set_index(i, view.shape.back(), step);
  step.own_stride = view.strides.back();
  step.run = find_load(view.type, step.own_stride == 1);
  step.access = access_of_rows(instruction.number);
  step.windows = windows_of(step);
  if (step.windows < 0) {
    find_runs(step);
  }
  put_step(step, once_[instruction.in[0]]);
}

// The access of an input's rows, which are picked from, by row of the space.
int PassBuilder::access_of_rows(int input) {
  const auto [at, added] = picked_rows_.try_emplace(input, -1);
  if (added) {
    const View& view = binding_.inputs[input];
    View lead = view;
    lead.shape.pop_back();
    lead.strides.pop_back();
    const bool empty = view.shape.back() == 0;
    if (empty) {
      lead.data = &bound_; // never read: every index is out of range
    }
    const char* who = "vector program: picked input";
    Access access(lead, row_space(), who);
    if (!empty) {
      access.reach(Access(view, view.shape, who));
    }
    at->second = add_access(std::move(access), input);
    read_.push_back(at->second);
  }
  return at->second;
}

// Row r of a table is what its leading axes, as one, have at r.
void PassBuilder::resolve_take(size_t i) {
  const auto& instruction = pass_.code[i];
  View lead = binding_.inputs[instruction.number];
  require(
      lead.shape.size() >= 2 &&
          (lead.shape.back() == 1 ||
           lead.shape.back() == binding_.space.back()) &&
          once_[instruction.in[0]],
      "Take from input {} of {} axes",
      instruction.number,
      lead.shape.size());
  Step step = step_of(Act::Take, i);
  step.own_stride = lead.shape.back() == 1 ? 0 : lead.strides.back();
  lead.shape.pop_back();
  lead.strides.pop_back();
  set_index(i, lang::count(lead.shape), step);
  step.load = find_load(lead.type, step.own_stride == 1);
  if (binding_.space.back() == 0) {
    lead.data = &bound_;
  }
  step.access = add_access(
      Access(lead, lead.shape, "vector program: table"), instruction.number);
  read_.push_back(step.access);
  put_step(step, false);
}

void PassBuilder::resolve_random(size_t i) {
  const uint16_t seed = pass_.code[i].in[0];
  require(
      once_[seed] && type_of(pass_.code[seed]) == Type::U64,
      "a seed that changes along the row");
  Step step = step_of(Act::Random, i);
  step.operands = 1;
  step.in[0] = seed;
  put_step(step, false);
}

void PassBuilder::resolve_scan(size_t i) {
  const auto& instruction = pass_.code[i];
  const lang::ScanOrder order = instruction.order;
  const bool backwards = order == lang::ScanOrder::Reverse ||
      order == lang::ScanOrder::ReverseExclusive;
  require(
      binding_.walk == Walk::Rows &&
          (plan_.carries == 0 || plan_.backwards == backwards),
      "a {} sum here",
      lang::name_of(order));
  plan_.backwards = backwards;
  Step step = step_of(Act::Scan, i);
  step.operands = 1;
  step.in[0] = instruction.in[0];
  step.mask[0] = mask(step.in[0]);
  step.scan = find_scan(order, type_of(instruction));
  step.carry = plan_.carries++;
  put_step(step, false);
}

void PassBuilder::resolve_compute(size_t i) {
  const auto& instruction = pass_.code[i];
  Step step = step_of(Act::Compute, i);
  bool once = true;
  step.operands = lang::arity(instruction.op);
  for (int k = 0; k < step.operands; ++k) {
    const uint16_t reg = instruction.in[k];
    step.in[k] = reg;
    step.mask[k] = mask(reg);
    once = once && once_[reg];
  }
  step.compute = find_operation(instruction);
  require(
      step.compute != nullptr,
      "no {} of {} giving {}",
      lang::name_of(instruction.op),
      lang::name_of(instruction.from),
      lang::name_of(instruction.type));
  put_step(step, once);
}

} // namespace zmlx::backend::cpu
