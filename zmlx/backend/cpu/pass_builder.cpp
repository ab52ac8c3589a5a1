#include "zmlx/backend/cpu/pass_builder.h"

#include <limits>

#include "zmlx/backend/cpu/scalar.h"
#include "zmlx/base/errors.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Op;
using lang::Type;

// Larger outputs would only push what others need out of the caches.
constexpr int64_t kStreamBytes = int64_t{8} << 20;

int64_t count(std::span<const int64_t> extents) {
  int64_t n = 1;
  for (int64_t extent : extents) {
    n *= extent;
  }
  return n;
}

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
    std::span<const View> inputs,
    std::span<const View> outputs,
    const lang::Shape& shape,
    Walk walk)
    : slots_(slots) {
  const lang::Shape space = at_least_1d(shape);
  rows_ = count({space.data(), space.size() - 1});
  width_ = space.back();
  if (walk == Walk::Flat) {
    width_ *= rows_;
    rows_ = 1;
  }
  if (slots > kMaxSlots) {
    throw internal_error("vector program: {} slots", slots);
  }
  for (const lang::Pass& pass : passes) {
    PassBuilder(*this, pass, inputs, outputs, space, walk).build();
  }
}

PassBuilder::PassBuilder(
    BoundPasses& bound,
    const lang::Pass& pass,
    std::span<const View> inputs,
    std::span<const View> outputs,
    const lang::Shape& space,
    Walk walk)
    : bound_(bound),
      pass_(pass),
      inputs_(inputs),
      outputs_(outputs),
      space_(space),
      walk_(walk),
      needed_(pass.code.size()),
      once_(pass.code.size()) {}

void PassBuilder::build() {
  check();
  choose_stores();
  mark_needed();
  for (size_t i = 0; i < pass_.code.size(); ++i) {
    if (needed_[i]) {
      resolve(i);
    }
  }
  add_reductions();
  join_factors();
  place_stores();
  assign_registers();
  assign_fetches();
  bound_.passes_.push_back(std::move(plan_));
}

void PassBuilder::check() const {
  if (pass_.code.size() > kMaxCode ||
      pass_.reductions.size() > kMaxReductions) {
    throw internal_error(
        "vector program: {} instructions and {} reductions in a pass",
        pass_.code.size(),
        pass_.reductions.size());
  }
  const auto known = [this](int reg) {
    return static_cast<size_t>(reg) < pass_.code.size();
  };
  for (size_t i = 0; i < pass_.code.size(); ++i) {
    const auto& instruction = pass_.code[i];
    for (int k = 0; k < lang::operands(instruction); ++k) {
      if (instruction.in[k] >= i) {
        throw internal_error(
            "vector program: instruction {} reads register {}",
            i,
            instruction.in[k]);
      }
    }
  }
  for (const auto& r : pass_.reductions) {
    if (!known(r.value) || r.slot < 0 || r.slot >= bound_.slots_) {
      throw internal_error("vector program: reduction into slot {}", r.slot);
    }
  }
  for (const auto& s : pass_.stores) {
    if (!known(s.value) || s.output < -1 ||
        s.output >= static_cast<int>(outputs_.size())) {
      throw internal_error("vector program: store into output {}", s.output);
    }
  }
}

void PassBuilder::choose_stores() {
  for (const auto& store : pass_.stores) {
    if (walk_ == Walk::Store) {
      const auto& shape = outputs_[store.output].shape;
      if (shape.empty() || shape.back() != space_.back()) {
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
    for (int k = 0; needed_[i] && k < lang::operands(instruction); ++k) {
      needed_[instruction.in[k]] = true;
    }
  }
}

int PassBuilder::add_access(Access access) {
  bound_.accesses_.push_back(std::move(access));
  return static_cast<int>(bound_.accesses_.size()) - 1;
}

lang::Shape PassBuilder::row_space() const {
  return at_least_1d({space_.begin(), space_.end() - 1});
}

void PassBuilder::put_step(Step step, bool once) {
  if (step.act != Act::Compute) {
    step.in.fill(step.act == Act::Pick ? step.in[0] : step.to);
  }
  once_[step.to] = once;
  (once ? plan_.once : plan_.block).push_back(step);
}

void PassBuilder::resolve(size_t i) {
  const auto& instruction = pass_.code[i];
  const auto reg = static_cast<uint16_t>(i);
  using Part = BoundPasses::Place::Part;
  switch (instruction.op) {
    case Op::Input:
      return resolve_input(i);
    case Op::Pick:
      return resolve_pick(i);
    case Op::Index:
      if (walk_ == Walk::Flat) {
        throw internal_error("vector program: Index in a flat walk");
      }
      return put_step({.act = Act::Index, .to = reg}, false);
    case Op::Constant:
    case Op::Width: {
      const double value = instruction.op == Op::Width
          ? static_cast<double>(space_.back())
          : instruction.value;
      BoundPasses::Uniform memory;
      with_register_type(type_of(instruction), [&](auto zero) {
        using T = decltype(zero);
        for (size_t lane = 0; lane < kUniformLanes; ++lane) {
          reinterpret_cast<T*>(memory.bytes)[lane] = convert<T>(value);
        }
      });
      once_[i] = true;
      plan_.places.push_back({reg, Part::Constant, bound_.constants_.size()});
      bound_.constants_.push_back(memory);
      return;
    }
    case lang::kSlot:
      if (walk_ == Walk::Store) {
        if (instruction.type != Type::F32) {
          throw internal_error(
              "vector program: accumulator of {}",
              lang::name_of(instruction.type));
        }
        return put_step(
            {.act = Act::Accumulator, .to = reg, .access = instruction.number},
            false);
      }
      if (instruction.number < 0 || instruction.number >= bound_.slots_) {
        throw internal_error("vector program: slot {}", instruction.number);
      }
      once_[i] = true;
      plan_.places.push_back(
          {reg, Part::Slot, static_cast<size_t>(instruction.number)});
      return;
    default:
      return resolve_compute(i);
  }
}

void PassBuilder::resolve_input(size_t i) {
  const auto& instruction = pass_.code[i];
  const View& view = inputs_[instruction.number];
  Access access(view, space_, "vector program: input");
  if (register_type(lang::compute_type(view.type)) != type_of(instruction)) {
    throw internal_error(
        "vector program: input {} of type {} read as {}",
        instruction.number,
        lang::name_of(view.type),
        lang::name_of(instruction.type));
  }
  const bool steady = access.steady(bound_.width_);
  const int64_t stride = access.stride();
  const bool once = (steady && stride == 0) || bound_.width_ <= 1;
  Step step{.to = static_cast<uint16_t>(i)};
  step.load = find_load(view.type, once || stride == 1);
  const bool alias = view.type == type_of(instruction) &&
      lang::size_of(view.type) >= 4 && steady && stride == 1;
  step.act = once ? Act::LoadOnce : alias ? Act::Alias : Act::Load;
  step.access = add_access(std::move(access));
  read_.push_back(step.access);
  put_step(step, once);
}

void PassBuilder::resolve_pick(size_t i) {
  const auto& instruction = pass_.code[i];
  const auto index = instruction.in[0];
  const View& view = inputs_[instruction.number];
  const Type index_type = type_of(pass_.code[index]);
  if (view.shape.empty() || lang::is_float(index_type) || walk_ == Walk::Flat) {
    throw internal_error(
        "vector program: Pick by {} from input {} of {} axes",
        lang::name_of(index_type),
        instruction.number,
        view.shape.size());
  }
  View lead = view;
  lead.shape.pop_back();
  lead.strides.pop_back();
  Step step{.act = Act::Pick, .to = static_cast<uint16_t>(i)};
  step.in[0] = index;
  step.mask[0] = mask(index);
  step.type = index_type;
  step.load = find_load(view.type, true);
  step.length = view.shape.back();
  step.own_stride = view.strides.back();
  if (step.length == 0) {
    lead.data = &bound_; // never read: every index is out of range
  }
  step.access =
      add_access(Access(lead, row_space(), "vector program: picked input"));
  read_.push_back(step.access);
  put_step(step, once_[index]);
}

void PassBuilder::resolve_compute(size_t i) {
  const auto& instruction = pass_.code[i];
  Step step{.act = Act::Compute, .to = static_cast<uint16_t>(i)};
  std::array<Type, 3> types{};
  bool once = true;
  const int operands = lang::arity(instruction.op);
  for (int k = 0; k < operands; ++k) {
    const uint16_t reg = instruction.in[k];
    step.in[k] = reg;
    step.mask[k] = mask(reg);
    types[k] = type_of(pass_.code[reg]);
    once = once && once_[reg];
  }
  for (int k = operands; k < 3; ++k) {
    step.in[k] = step.in[0]; // any that is there
  }
  step.compute = find_operation(instruction, types);
  if (!step.compute) {
    throw internal_error(
        "vector program: no {} of {} giving {}",
        lang::name_of(instruction.op),
        lang::name_of(types[0]),
        lang::name_of(instruction.type));
  }
  put_step(step, once);
}

void PassBuilder::add_reductions() {
  for (const auto& r : pass_.reductions) {
    const auto op = find_reduction(r.op, type_of(pass_.code[r.value]));
    if (!op.add || walk_ != Walk::Rows) {
      throw internal_error(
          "vector program: reduction {} here", lang::name_of(r.op));
    }
    plan_.reductions.push_back({r.value, mask(r.value), r.slot, op});
    plan_.blocks = true;
  }
}

bool PassBuilder::overlaps_input(const Access& output) const {
  return std::any_of(read_.begin(), read_.end(), [&](int input) {
    return bound_.accesses_[input].overlaps(output);
  });
}

void PassBuilder::place_stores() {
  for (const auto& store : stores_) {
    const uint16_t value = store.value;
    const Type type = type_of(pass_.code[value]);
    BoundPasses::StorePlan plan{};
    plan.value = value;
    plan.mask = mask(value);
    plan.size = static_cast<int64_t>(lang::size_of(type));
    plan.access = -1;
    plan.store = find_store(type, Type::F32, true);
    if (store.output >= 0) {
      const View& view = outputs_[store.output];
      plan.each_row = store.one_a_row;
      if (plan.each_row && (walk_ != Walk::Rows || !once_[value])) {
        throw internal_error(
            "vector program: output {} wants one value a row", store.output);
      }
      View seen = view;
      if (plan.each_row && view.shape.size() == space_.size() &&
          view.shape.back() == 1) {
        seen.shape.pop_back();
        seen.strides.pop_back();
      }
      plan.access = add_access(Access(
          seen,
          plan.each_row ? row_space() : space_,
          "vector program: output"));
      const Access& access = bound_.accesses_[plan.access];
      const bool dense = access.stride() == 1 && access.steady(bound_.width_);
      plan.store = find_store(type, view.type, plan.each_row || dense);
      plan.stream = !plan.each_row && dense && view.type == Type::F32 &&
          bound_.rows_ * bound_.width_ * 4 >= kStreamBytes &&
          reinterpret_cast<uintptr_t>(view.data) % 64 == 0 && access.fixed() &&
          walk_ == Walk::Flat;
      bound_.streams_ = bound_.streams_ || plan.stream;
    }
    plan_.blocks = plan_.blocks || !plan.each_row;
    plan_.stores.push_back(plan);
  }
  for (size_t store = 0; store < stores_.size(); ++store) {
    try_direct(store);
  }
}

// Has the step that makes a stored value write it where it is stored, if
// nothing read later can be lost by that.
void PassBuilder::try_direct(size_t store) {
  auto& plan = plan_.stores[store];
  const Type type = type_of(pass_.code[plan.value]);
  if (plan.each_row || !plan.mask) {
    return;
  }
  auto step =
      std::find_if(plan_.block.begin(), plan_.block.end(), [&](const Step& s) {
        return s.to == plan.value;
      });
  if (step->direct >= 0 || step->act == Act::Alias ||
      step->act == Act::Accumulator) {
    return;
  }
  if (plan.access >= 0) {
    const Access& access = bound_.accesses_[plan.access];
    // Nothing reads what the last step of a pass has stored.
    const bool last = step + 1 == plan_.block.end() && stores_.size() == 1 &&
        pass_.reductions.empty();
    if (plan.stream && (!last || step->act != Act::Compute)) {
      return;
    }
    if (access.type() != type || access.stride() != 1 ||
        !access.steady(bound_.width_) ||
        pass_.code[plan.value].type == Type::Bool ||
        (overlaps_input(access) && !last)) {
      return;
    }
  } else if (type != Type::F32) {
    return;
  }
  step->direct = static_cast<int>(store);
  step->stream = plan.stream;
  plan.direct = true;
}

// Vector registers are reused as soon as their value has been read for the
// last time; a step may write over an operand of the same size.
void PassBuilder::assign_registers() {
  constexpr size_t kEnd = std::numeric_limits<size_t>::max();
  using Part = BoundPasses::Place::Part;
  if (stores_.size() + pass_.reductions.size() > 1) {
    // What a store has overwritten must not be what another value is.
    for (Step& step : plan_.block) {
      const auto stored = [&](const lang::Store& s) {
        return s.value == step.to;
      };
      if (step.act == Act::Alias &&
          std::any_of(stores_.begin(), stores_.end(), stored)) {
        step.act = Act::Load;
      }
    }
  }
  for (const Step& step : plan_.once) {
    plan_.places.push_back({step.to, Part::Uniform, plan_.uniform_bytes});
    plan_.uniform_bytes += sizeof(BoundPasses::Uniform);
  }
  std::vector<size_t> last(pass_.code.size(), 0);
  for (size_t s = 0; s < plan_.block.size(); ++s) {
    for (int k = 0; k < 3; ++k) {
      last[plan_.block[s].in[k]] = s;
    }
  }
  for (const auto& store : stores_) {
    last[store.value] = kEnd;
  }
  for (const auto& reduction : pass_.reductions) {
    last[reduction.value] = kEnd;
  }
  struct Slot {
    size_t size;
    size_t offset; // bytes a place
    bool free;
  };
  std::vector<Slot> slots;
  std::map<uint16_t, size_t> slot_of;
  size_t bytes = 0; // a place
  const auto release = [&](const Step& step, size_t s, size_t size) {
    const int operands =
        step.act == Act::Compute || step.act == Act::Pick ? 3 : 0;
    for (int k = 0; k < operands; ++k) {
      auto at = slot_of.find(step.in[k]);
      if (at != slot_of.end() && last[step.in[k]] == s &&
          (size == 0 || slots[at->second].size == size)) {
        slots[at->second].free = true;
      }
    }
  };
  std::vector<std::pair<uint16_t, size_t>> placed; // register, offset
  for (size_t s = 0; s < plan_.block.size(); ++s) {
    const Step& step = plan_.block[s];
    const size_t size = lang::size_of(type_of(pass_.code[step.to]));
    release(step, s, size);
    if (step.act != Act::Alias && step.act != Act::Accumulator &&
        step.direct < 0) {
      auto at = std::find_if(slots.begin(), slots.end(), [&](const Slot& x) {
        return x.free && x.size == size;
      });
      if (at == slots.end()) {
        at = slots.insert(slots.end(), {size, bytes, true});
        bytes += size;
      }
      at->free = false;
      slot_of[step.to] = static_cast<size_t>(at - slots.begin());
      placed.emplace_back(step.to, at->offset);
    }
    release(step, s, 0);
    // A slot taken over by this step's own result stays taken.
    if (auto own = slot_of.find(step.to); own != slot_of.end()) {
      slots[own->second].free = false;
    }
  }
  int64_t block = kMaxBlock;
  while (block > kMinBlock &&
         static_cast<size_t>(block) * bytes > kVectorBytes) {
    block /= 2;
  }
  plan_.block_length = block;
  for (const auto& [reg, offset] : placed) {
    plan_.places.push_back(
        {reg, Part::Vector, offset * static_cast<size_t>(block)});
  }
}

} // namespace zmlx::backend::cpu
