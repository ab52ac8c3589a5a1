// What becomes of the values of a pass.
#include <algorithm>

#include "zmlx/backend/cpu/pass_builder.h"

namespace zmlx::backend::cpu {

using lang::Op;
using lang::Type;

namespace {

// Larger outputs would only push what others need out of the caches.
constexpr int64_t kStreamBytes = int64_t{8} << 20;

} // namespace

void PassBuilder::add_reductions() {
  for (const auto& r : pass_.reductions) {
    const auto op =
        find_reduction(r.op, register_type(pass_.code[r.value].type));
    require(
        op.add && binding_.walk == Walk::Rows,
        "reduction {} here",
        lang::name_of(r.op));
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
    require(
        !store.one_per_row ||
            (binding_.walk == Walk::Rows && once_[store.value]),
        "output {} wants one value per row",
        store.output);
    if (place_sum(store)) {
      continue;
    }
    const Type type = register_type(pass_.code[store.value].type);
    BoundPasses::StorePlan plan{};
    plan.value = store.value;
    plan.mask = mask(store.value);
    plan.size = static_cast<int64_t>(lang::size_of(type));
    plan.access = store.output;
    plan.each_row = store.one_per_row;
    if (store.output >= 0) {
      place_store(store, plan);
    } else {
      const bool named = store.output == kNamedOutput;
      plan.store = find_store(type, named ? Type::I64 : Type::F32, true);
    }
    plan_.blocks = plan_.blocks || !plan.each_row;
    plan_.stores.push_back(plan);
  }
}

std::vector<int> PassBuilder::count_reads() const {
  std::vector<int> reads(pass_.code.size());
  for (const Step& step : plan_.block) {
    for (int k = 0; k < step.operands; ++k) {
      reads[step.in[k]]++;
    }
  }
  for_each_sink([&](uint16_t reg) { reads[reg]++; });
  return reads;
}

void PassBuilder::place_direct() {
  const auto reads = count_reads();
  for (size_t store = 0; store < plan_.stores.size(); ++store) {
    try_direct(store, reads);
  }
}

// Whether it is a sum here: one that has the shape of the space is not.
bool PassBuilder::place_sum(const lang::Store& store) {
  if (store.output < 0 || binding_.sums.empty() ||
      !binding_.sums[store.output]) {
    return false;
  }
  const Type type = register_type(pass_.code[store.value].type);
  BoundPasses::AddPlan plan{};
  plan.value = store.value;
  plan.value_mask = mask(store.value);
  plan.output = store.output;
  plan.each_row = store.one_per_row;
  if (!plan.each_row) {
    // The caller's sums lie as the output does, adjacent; which row is known
    // when it runs.
    lang::Shape shape = binding_.outputs[store.output].shape;
    if (store.into == lang::Into::Row) {
      shape = {shape.back()};
    }
    const Access access(
        adjacent_view(&bound_, type, shape),
        binding_.space,
        "vector program: sum");
    plan.along = access.stride() != 0 && access.steady(bound_.width_);
    require(
        plan.along || access.steady(bound_.width_),
        "a sum over parts of a row");
    plan_.blocks = true;
  }
  plan.real = lang::is_float(type);
  plan.add = find_accumulate(type);
  if (type == Type::F32) {
    plan.add_floats = find_operation({.op = Op::Add, .type = type});
  }
  plan.reduce = find_reduction(Op::Sum, type);
  plan_.adds.push_back(plan);
  return true;
}

void PassBuilder::place_store(
    const lang::Store& store,
    BoundPasses::StorePlan& plan) {
  const Type type = register_type(pass_.code[store.value].type);
  View seen = binding_.outputs[store.output];
  if (plan.each_row && seen.shape.size() == binding_.space.size() &&
      seen.shape.back() == 1) {
    seen.shape.pop_back();
    seen.strides.pop_back();
  }
  plan.access = add_access(
      Access(
          seen,
          plan.each_row ? row_space() : binding_.space,
          "vector program: output"),
      ~store.output);
  const Access& access = bound_.accesses_[plan.access];
  const bool dense = access.stride() == 1 && access.steady(bound_.width_);
  plan.store = find_store(type, seen.type, plan.each_row || dense);
  const auto size = static_cast<int64_t>(lang::size_of(seen.type));
  plan.stream = !plan.each_row && dense && lang::is_float(seen.type) &&
      bound_.rows_ * bound_.width_ * size >= kStreamBytes &&
      seen.data.value() % 64 == 0 && access.fixed() &&
      binding_.walk != Walk::Store && access.adjacent() &&
      (bound_.rows_ == 1 || bound_.width_ * size % 64 == 0);
  bound_.streams_ = bound_.streams_ || plan.stream;
}

// Has the step that makes a stored value write it where it is stored, if
// nothing read later can be lost by that.
void PassBuilder::try_direct(size_t store, const std::vector<int>& reads) {
  auto& plan = plan_.stores[store];
  const Type type = register_type(pass_.code[plan.value].type);
  if (plan.each_row || !plan.mask || plan.direct) {
    return;
  }
  Step* step = step_of(plan.value);
  if (!step || step->direct >= 0 || step->kept >= 0 || is_view(*step)) {
    return;
  }
  if (plan.access >= 0) {
    const Access& access = bound_.accesses_[plan.access];
    // Nothing reads what the last step of a pass has stored.
    const bool last = step == &plan_.block.back() && stores_.size() == 1 &&
        pass_.reductions.empty();
    // What passes the caches by is read by nothing else.
    if (plan.stream && (reads[plan.value] != 1 || step->act != Act::Compute)) {
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

} // namespace zmlx::backend::cpu
