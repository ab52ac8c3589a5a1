// Passes of neighbouring rows as one loop: while the last waits for memory to
// take what it stores and the first for what it reads, the others compute.
#include <algorithm>

#include "zmlx/backend/cpu/pass_builder.h"
#include "zmlx/backend/cpu/running.h"
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
    const auto does = [&](std::initializer_list<Act> acts) {
      return std::ranges::any_of(pass.block, [acts](const Step& step) {
        return std::ranges::find(acts, step.act) != acts.end();
      });
    };
    return !pass.blocks ||
        (does({Act::Loop}) &&
         !does({Act::Compute, Act::Pick, Act::Random, Act::Scan}));
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
    value.windows = moved(value.windows, memories);
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

// The stages whose shared passes these are: the passes before the first belong
// to its stage, those after each to that one's.
BoundPasses::Overlap BoundPasses::overlap_of(
    const std::vector<size_t>& shared) const {
  Overlap overlap;
  overlap.block_length = kMaxViewBlock;
  for (size_t s = 0; s < shared.size(); ++s) {
    const size_t begin = s == 0 ? 0 : overlap.stages.back().end;
    const size_t end = s + 1 < shared.size() ? shared[s + 1] : passes_.size();
    const PassPlan& pass = passes_[shared[s]];
    const LoopPlan& plan = *only_loop(pass);
    overlap.stages.push_back({begin, end, shared[s], plan.reductions});
    overlap.block_length = std::min(overlap.block_length, pass.block_length);
    append(overlap.loop, plan.loop);
    overlap.pointers.insert(
        overlap.pointers.end(), plan.pointers.begin(), plan.pointers.end());
    overlap.stage_of.resize(overlap.pointers.size(), s);
  }
  // The machine does not see a row that comes as one of so many streams.
  for (const NextRow& next : only_loop(passes_[shared[0]])->next_rows) {
    overlap.loop.fetches.push_back({overlap.loop.memories++, next.stored});
    overlap.pointers.push_back(
        {Pointer::From::Access, 0, next.access, next.bytes});
    overlap.stage_of.push_back(0);
  }
  if (overlap.pointers.size() <= kMaxPointers && fits(overlap.loop)) {
    overlap.code = assemble(overlap.loop);
  }
  return overlap;
}

// As many of the last passes as one loop can be.
void BoundPasses::overlap_rows() {
  std::vector<size_t> shared;
  for (size_t p = passes_.size(); p-- > 0;) {
    const PassPlan& pass = passes_[p];
    if (pass.backwards || (pass.blocks && !only_loop(pass))) {
      break;
    }
    if (pass.blocks && shared.size() < static_cast<size_t>(kMaxStages)) {
      shared.insert(shared.begin(), p);
    }
  }
  while (rows_ > 1 && shared.size() > 1 && writes_elsewhere()) {
    overlap_ = overlap_of(shared);
    if (overlap_.code) {
      return;
    }
    shared.erase(shared.begin());
  }
}

void BoundPasses::run_rows(
    int64_t first,
    int64_t end,
    const RowValues& values,
    const AfterRow& after) const noexcept {
  const auto stages = static_cast<int64_t>(overlap_.stages.size());
  const bool overlaps = overlap_.code && end - first >= stages;
  Running rows[kMaxStages];
  for (int64_t s = 0; s < (overlaps ? stages : 1); ++s) {
    start(rows[s], static_cast<size_t>(s));
    rows[s].begin = 0;
    rows[s].end = width_;
    rows[s].values = values;
  }
  if (row_loop_ >= 0 && !after.call) {
    return run_row_loop(first, end, rows[0]);
  }
  const int64_t steps = end - first + (overlaps ? stages - 1 : 0);
  for (int64_t step = 0; step < steps; ++step) {
    if (overlaps) {
      run_stages(rows, first, end, first + step);
    } else {
      rows[0].row = first + step;
      for (const PassPlan& pass : passes_) {
        run_pass(pass, rows[0]);
      }
    }
    if (after.call) {
      after.call(after.of);
    }
  }
}

// Stage 0 of row `newest`, stage 1 of the row before, and so on, of those rows
// that there are.
void BoundPasses::run_stages(
    Running* rows,
    int64_t first,
    int64_t end,
    int64_t newest) const noexcept {
  const auto stages = static_cast<int64_t>(overlap_.stages.size());
  const bool all = newest - stages + 1 >= first && newest < end;
  Running* of[kMaxStages] = {};
  for (int64_t s = 0; s < stages; ++s) {
    const int64_t row = newest - s;
    if (row < first || row >= end) {
      continue;
    }
    of[s] = &rows[row % stages];
    of[s]->row = row;
    const Stage& stage = overlap_.stages[static_cast<size_t>(s)];
    for (size_t p = stage.begin; p < (all ? stage.shared : stage.end); ++p) {
      run_pass(passes_[p], *of[s]);
    }
  }
  if (all) {
    run_shared(of);
  }
}

void BoundPasses::run_shared(Running* const* rows) const noexcept {
  const auto& stages = overlap_.stages;
  for (size_t s = 0; s < stages.size(); ++s) {
    begin_pass(passes_[stages[s].shared], *rows[s]);
  }
  for (int64_t at = 0; at < width_; at += overlap_.block_length) {
    run_shared_block(rows, at);
  }
  for (size_t s = 0; s < stages.size(); ++s) {
    end_pass(passes_[stages[s].shared], *rows[s]);
    for (size_t p = stages[s].shared + 1; p < stages[s].end; ++p) {
      run_pass(passes_[p], *rows[s]);
    }
  }
}

void BoundPasses::run_shared_block(Running* const* rows, int64_t at)
    const noexcept {
  const auto& stages = overlap_.stages;
  const int64_t n = std::min(overlap_.block_length, width_ - at);
  void* memories[kMaxPointers];
  Partial partials[kMaxStages][kMaxPartials];
  for (size_t s = 0; s < stages.size(); ++s) {
    Running& now = *rows[s];
    now.at = at;
    now.place = now.row * width_ + at;
    now.n = static_cast<size_t>(n);
    const PassPlan& pass = passes_[stages[s].shared];
    for (const Step& step : pass.block) {
      if (step.act != Act::Loop) {
        run_step(step, pass, now);
      }
    }
  }
  for (size_t k = 0; k < overlap_.pointers.size(); ++k) {
    const size_t s = overlap_.stage_of[k];
    memories[k] = pointer_of(overlap_.pointers[k], partials[s], *rows[s]);
  }
  overlap_.code->run(memories, n);
  for (size_t s = 0; s < stages.size(); ++s) {
    const PassPlan& pass = passes_[stages[s].shared];
    join(stages[s].reductions, partials[s], pass, *rows[s]);
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
        throw environment_error(
            "the system gives no memory for machine code any more");
      }
    }
  }
  if (overlap_.code && set(overlap_.loop, overlap_.pointers)) {
    overlap_.code = assemble(overlap_.loop);
  }
}

} // namespace zmlx::backend::cpu
