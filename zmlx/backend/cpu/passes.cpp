// Running bound passes; pass_builder.cpp makes them.
#include "zmlx/backend/cpu/passes.h"

#include <algorithm>
#include <memory>
#include <numeric>

#include <hwy/cache_control.h>

#include "zmlx/backend/cpu/running.h"

namespace zmlx::backend::cpu {

// Of a thread, shared by all that it runs, so that it stays in the caches.
void BoundPasses::start(Running& now, size_t stage) noexcept {
  static thread_local const std::unique_ptr<RowMemory[]> memory(
      new RowMemory[kMaxStages]);
  now.memory = &memory[stage];
  now.where = now.memory->where;
}

void BoundPasses::run(
    int64_t row,
    int64_t begin,
    int64_t end,
    const RowValues& values) const noexcept {
  Running now;
  start(now, 0);
  now.row = row;
  now.begin = begin;
  now.end = end;
  now.values = values;
  for (const PassPlan& pass : passes_) {
    run_pass(pass, now);
  }
}

void BoundPasses::join(
    const std::vector<size_t>& reductions,
    const Partial* partials,
    const PassPlan& pass,
    Running& now) noexcept {
  for (size_t k = 0; k < reductions.size(); ++k) {
    const size_t r = reductions[k];
    pass.reductions[r].op.join(now.memory->partial[r], partials[k]);
  }
}

void BoundPasses::finish() const noexcept {
  if (streams_) {
    hwy::FlushStream();
  }
}

void BoundPasses::run_pass(const PassPlan& pass, Running& now) const noexcept {
  begin_pass(pass, now);
  if (pass.blocks) {
    run_blocks(pass, now);
  }
  end_pass(pass, now);
}

void BoundPasses::put_places(const PassPlan& pass, Running& now)
    const noexcept {
  const RowMemory& memory = *now.memory;
  const void* const parts[] = {// by Place::Part
                               memory.vectors,
                               memory.uniform,
                               constants_.data(),
                               memory.slots};
  for (const Place& place : pass.places) {
    now.where[place.reg] =
        static_cast<const std::byte*>(parts[static_cast<size_t>(place.part)]) +
        place.at;
  }
  now.placed = &pass;
}

void BoundPasses::begin_pass(const PassPlan& pass, Running& now)
    const noexcept {
  const bool placed = now.placed == &pass;
  if (!placed) {
    put_places(pass, now);
  }
  now.at = now.begin;
  now.place = now.row * std::max<int64_t>(width_, 1) + now.begin;
  now.n = kUniformLanes;
  for (size_t s = placed ? pass.shared : 0; s < pass.once.size(); ++s) {
    run_step(pass.once[s], pass, now);
  }
  for (size_t i = 0; i < pass.reductions.size(); ++i) {
    pass.reductions[i].op.start(now.memory->partial[i]);
  }
  std::fill_n(now.memory->carries, pass.carries, 0);
}

void BoundPasses::run_blocks(const PassPlan& pass, Running& now)
    const noexcept {
  if (now.end - now.begin <= pass.block_length) {
    now.n = static_cast<size_t>(now.end - now.begin);
    if (now.n > 0) {
      run_block(pass, now);
    }
    return;
  }
  const int64_t offset = now.place - now.at;
  const int64_t blocks =
      (now.end - now.begin + pass.block_length - 1) / pass.block_length;
  for (int64_t k = 0; k < blocks; ++k) {
    const int64_t block = pass.backwards ? blocks - 1 - k : k;
    now.at = now.begin + block * pass.block_length;
    now.place = now.at + offset;
    now.n = std::min(pass.block_length, now.end - now.at);
    run_block(pass, now);
  }
}

void BoundPasses::end_pass(const PassPlan& pass, Running& now) const noexcept {
  for (size_t i = 0; i < pass.reductions.size(); ++i) {
    const Reduce& r = pass.reductions[i];
    r.op.finish(now.memory->partial[i], &now.memory->slots[r.slot]);
  }
  for (const AddPlan& add : pass.adds) {
    if (add.each_row) {
      add_up(add, 1, now);
    }
  }
  for (const StorePlan& s : pass.stores) {
    if (s.each_row) {
      void* to = now.values.named;
      if (s.access != kNamedOutput) {
        to = accesses_[s.access].at(now.row);
      }
      s.store({to, 1, now.where[s.value], 0, 1});
    }
  }
}

void BoundPasses::run_block(const PassPlan& pass, Running& now) const noexcept {
  for (const Step& step : pass.block) {
    if (step.direct >= 0) {
      const StorePlan& s = pass.stores[step.direct];
      now.where[step.to] = s.access == kRowOutput
          ? static_cast<void*>(now.values.out + (now.at - now.begin))
          : accesses_[s.access].at(now.place);
    }
    run_step(step, pass, now);
  }
  reduce(pass, now);
  for (const AddPlan& add : pass.adds) {
    if (!add.each_row && !add.in_loop) {
      add_up(add, now.n, now);
    }
  }
  for (const StorePlan& s : pass.stores) {
    if (!s.each_row && !s.direct) {
      store_block(s, now);
    }
  }
}

void BoundPasses::reduce(const PassPlan& pass, Running& now) const noexcept {
  for (size_t i = 0; i < pass.reductions.size(); ++i) {
    const Reduce& r = pass.reductions[i];
    if (r.in_loop) {
      continue;
    }
    r.op.add(
        {&now.memory->partial[i],
         now.where[r.value],
         r.value_mask,
         now.n,
         now.at});
  }
}

void BoundPasses::add_up(const AddPlan& add, size_t n, Running& now)
    const noexcept {
  const void* from = now.where[add.value];
  void* to = now.values.sums[add.output];
  if (add.each_row) {
    add.add(to, from, 0, 1);
  } else if (add.along) {
    const int64_t at = now.at - now.begin;
    if (!floats_.empty() && floats_[add.output]) {
      float* sums = static_cast<float*>(to) + at;
      add.add_floats(
          {.out = sums,
           .in = {sums, from},
           .mask = {~size_t{0}, add.value_mask},
           .n = n});
    } else {
      add.add(static_cast<uint64_t*>(to) + at, from, add.value_mask, n);
    }
  } else {
    Accumulator sum;
    add.reduce.start(sum);
    add.reduce.add({&sum, from, add.value_mask, n, 0});
    if (add.real) {
      *static_cast<double*>(to) += sum.real;
    } else {
      *static_cast<uint64_t*>(to) += sum.bits;
    }
  }
}

void BoundPasses::run_loop(
    const LoopPlan& loop,
    const PassPlan& pass,
    Running& now) const noexcept {
  void* memories[kMaxPointers];
  Partial partials[kMaxPartials];
  for (size_t k = 0; k < loop.pointers.size(); ++k) {
    memories[k] = pointer_of(loop.pointers[k], partials, now);
  }
  loop.code->run(memories, static_cast<int64_t>(now.n));
  join(loop.reductions, partials, pass, now);
}

void BoundPasses::run_step(const Step& step, const PassPlan& pass, Running& now)
    const noexcept {
  if (step.kept >= 0) {
    now.where[step.to] = now.memory->kept + step.kept +
        now.at * static_cast<int64_t>(sizeof(float));
  }
  // Registers are ours to write, but not where they alias inputs.
  void* to = const_cast<void*>(now.where[step.to]);
  switch (step.act) {
    case Act::Compute:
      return compute(step, to, now);
    case Act::Loop:
      return run_loop(loops_[step.access], pass, now);
    case Act::Alias:
      now.where[step.to] = accesses_[step.access].at(now.place);
      break;
    case Act::Fixed: {
      const auto size = lang::size_of(step.type);
      now.where[step.to] =
          fixed_[step.access].data() + static_cast<size_t>(now.at) * size;
      break;
    }
    case Act::Kept:
      break;
    case Act::Accumulator:
      now.where[step.to] =
          now.values.accumulators[step.access] + (now.at - now.begin);
      break;
    case Act::Index:
      std::iota(
          static_cast<int32_t*>(to),
          static_cast<int32_t*>(to) + now.n,
          static_cast<int32_t>(now.at));
      break;
    case Act::RowIndex:
      std::fill_n(
          static_cast<int32_t*>(to),
          kUniformLanes,
          static_cast<int32_t>(now.row));
      break;
    case Act::Pick:
      return pick(step, to, now);
    case Act::Take:
      return take(step, to, now);
    case Act::Random:
      fill_random(
          static_cast<uint32_t*>(to),
          *static_cast<const uint64_t*>(now.where[step.in[0]]),
          static_cast<uint64_t>(now.place),
          now.n);
      break;
    case Act::Scan:
      step.scan(
          {to,
           now.where[step.in[0]],
           step.mask[0],
           now.n,
           now.memory->carries + step.carry});
      break;
    case Act::LoadOnce:
    case Act::Load:
      return load(step, to, now);
  }
}

void BoundPasses::compute(const Step& step, void* to, Running& now)
    const noexcept {
  BlockArgs args{.out = to, .in = {}, .mask = step.mask, .n = now.n};
  for (size_t k = 0; k < kMaxOperands; ++k) {
    args.in[k] = now.where[step.in[k]];
  }
  args.stream = step.stream;
  step.compute(args);
}

void BoundPasses::store_block(const StorePlan& s, Running& now) const noexcept {
  const auto* from = static_cast<const char*>(now.where[s.value]);
  if (s.access < 0) {
    float* out = now.values.out + (now.at - now.begin);
    s.store({out, 1, from, s.mask, now.n});
    return;
  }
  const Access& access = accesses_[s.access];
  access.for_runs(
      now.place, static_cast<int64_t>(now.n), [&](char* to, int64_t n) {
        s.store(
            {to,
             access.stride(),
             from,
             s.mask,
             static_cast<size_t>(n),
             s.stream});
        from += s.mask ? n * s.size : 0;
      });
}

} // namespace zmlx::backend::cpu
