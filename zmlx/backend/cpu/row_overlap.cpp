// The last pass of a row and the last but one of the next as one loop: while
// the one waits for memory to take what it stores, the other computes.
#include <algorithm>

#include "zmlx/backend/cpu/passes.h"
#include "zmlx/base/errors.h"

namespace zmlx::backend::cpu {

// The loop of a pass in which nothing else takes time.
const BoundPasses::LoopPlan* BoundPasses::only_loop(
    const PassPlan& pass) const {
  const LoopPlan* loop = nullptr;
  for (const Step& step : pass.block) {
    if (step.act == Act::Loop && !loop) {
      loop = &loops_[step.access];
    } else if (
        step.act != Act::Alias && step.act != Act::Kept &&
        step.act != Act::Fixed) {
      return nullptr;
    }
  }
  const auto in_loop = [](const auto& plan) { return plan.in_loop; };
  const bool all =
      std::all_of(pass.reductions.begin(), pass.reductions.end(), in_loop) &&
      std::all_of(
          pass.adds.begin(),
          pass.adds.end(),
          [](const AddPlan& add) { return add.in_loop || add.each_row; }) &&
      std::all_of(
          pass.stores.begin(), pass.stores.end(), [](const StorePlan& store) {
            return store.direct || store.each_row;
          });
  return all && pass.carries == 0 ? loop : nullptr;
}

bool BoundPasses::assembled() const {
  return std::all_of(passes_.begin(), passes_.end(), [](const PassPlan& pass) {
    const auto does = [&](Act act) {
      return std::any_of(
          pass.block.begin(), pass.block.end(), [act](const Step& step) {
            return step.act == act;
          });
    };
    return !pass.blocks || (does(Act::Loop) && !does(Act::Compute));
  });
}

namespace {

int moved(int number, int by) {
  return number < 0 ? number : number + by;
}

// Puts a loop after another.
void append(Loop& to, const Loop& from) {
  const auto values = static_cast<int>(to.values.size());
  const int memories = to.memories;
  for (Loop::Value value : from.values) {
    value.memory = moved(value.memory, memories);
    for (int& in : value.in) {
      in = moved(in, values);
    }
    to.values.push_back(value);
  }
  for (Loop::Store store : from.stores) {
    store.value += values;
    store.memory += memories;
    to.stores.push_back(store);
  }
  for (Loop::Reduction reduction : from.reductions) {
    reduction.value += values;
    reduction.memory += memories;
    to.reductions.push_back(reduction);
  }
  for (Loop::Add add : from.adds) {
    add.value += values;
    add.memory += memories;
    to.adds.push_back(add);
  }
  to.memories += from.memories;
}

} // namespace

// Whether what a row stores is no input of the others.
bool BoundPasses::writes_elsewhere() const {
  for (size_t i = 0; i < accesses_.size(); ++i) {
    for (size_t j = 0; j < accesses_.size() && sources_[i] < 0; ++j) {
      const Access &to = accesses_[i], &from = accesses_[j];
      if (sources_[j] >= 0 && to.overlaps(from) && !to.same_places(from)) {
        return false;
      }
    }
  }
  return true;
}

void BoundPasses::overlap_rows() {
  if (rows_ < 2 || passes_.size() < 2) {
    return;
  }
  const PassPlan& last = passes_.back();
  const PassPlan& pass = passes_[passes_.size() - 2];
  const LoopPlan *a = only_loop(pass), *b = only_loop(last);
  if (!a || !b || pass.backwards || last.backwards || !writes_elsewhere()) {
    return;
  }
  overlap_ = Overlap();
  append(overlap_.loop, a->loop);
  append(overlap_.loop, b->loop);
  overlap_.pointers = a->pointers;
  overlap_.before.assign(a->pointers.size(), false);
  overlap_.pointers.insert(
      overlap_.pointers.end(), b->pointers.begin(), b->pointers.end());
  overlap_.before.resize(overlap_.pointers.size(), true);
  overlap_.of_pass = a->reductions;
  overlap_.of_last = b->reductions;
  // What an earlier pass reads of the next row; else the loop itself does.
  for (size_t k = 0; k < a->next_rows.size() && passes_.size() > 2; ++k) {
    const NextRow& next = a->next_rows[k];
    overlap_.loop.fetches.push_back({overlap_.loop.memories++, next.stored});
    overlap_.pointers.push_back(
        {Pointer::From::Register, next.reg, next.bytes});
    overlap_.before.push_back(false);
  }
  if (overlap_.pointers.size() <= kMaxPointers) {
    overlap_.code = assemble(overlap_.loop);
  }
}

// The sums of loops that are assembled anew.
void BoundPasses::add_in_floats(const std::vector<bool>& outputs) {
  floats_ = outputs;
  const auto set = [&](Loop& loop, const std::vector<Pointer>& pointers) {
    bool changed = false;
    for (auto& add : loop.adds) {
      add.floats = outputs[static_cast<size_t>(pointers[add.memory].number)];
      changed = changed || add.floats;
    }
    return changed;
  };
  for (LoopPlan& plan : loops_) {
    if (set(plan.loop, plan.pointers)) {
      plan.code = assemble(plan.loop);
      if (!plan.code) {
        throw internal_error("vector program: sums in float32 do not fit");
      }
    }
  }
  if (overlap_.code && set(overlap_.loop, overlap_.pointers)) {
    overlap_.code = assemble(overlap_.loop);
  }
}

} // namespace zmlx::backend::cpu
