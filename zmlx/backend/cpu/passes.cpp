// Running bound passes; pass_builder.cpp makes them.
#include "zmlx/backend/cpu/passes.h"

#include <cstdlib>
#include <cstring>
#include <memory>

#include <hwy/cache_control.h>

#include "zmlx/backend/cpu/pass_builder.h"
#include "zmlx/backend/cpu/scalar.h"

namespace zmlx::backend::cpu {
namespace {

// One a thread, shared by all that it runs, so that it stays in L1.
std::byte* thread_memory() {
  struct Free {
    void operator()(std::byte* p) const {
      std::free(p);
    }
  };
  static thread_local const std::unique_ptr<std::byte, Free> memory(
      static_cast<std::byte*>(std::aligned_alloc(64, kThreadMemory)));
  return memory.get();
}

// Copies the first value of a uniform register over all of it.
void spread(void* reg, size_t size) {
  auto* bytes = static_cast<char*>(reg);
  for (size_t lane = 1; lane < kUniformLanes; ++lane) {
    std::memcpy(bytes + lane * size, bytes, size);
  }
}

// Bytes of a register's element that is loaded through `access`.
size_t loaded_size(const Access& access) {
  return lang::size_of(register_type(lang::compute_type(access.type())));
}

template <typename T, typename Index>
void gather_as(
    void* out,
    const char* from,
    int64_t stride,
    int64_t length,
    const void* at,
    size_t mask,
    size_t n) {
  for (size_t i = 0; i < n; ++i) {
    const Index place = static_cast<const Index*>(at)[i & mask];
    T value = 0;
    if (place >= 0 && static_cast<uint64_t>(place) < uint64_t(length)) {
      const auto offset = static_cast<int64_t>(place) * stride;
      value = reinterpret_cast<const T*>(from)[offset];
    }
    static_cast<T*>(out)[i] = value;
  }
}

// Elements as bits: zero bits are 0 in every type.
template <typename... Args>
void gather(size_t size, lang::Type index, Args... args) {
  with_register_type(index, [&](auto i) {
    using Index = decltype(i);
    if constexpr (std::is_integral_v<Index>) {
      switch (size) {
        case 1:
          return gather_as<uint8_t, Index>(args...);
        case 2:
          return gather_as<uint16_t, Index>(args...);
        case 4:
          return gather_as<uint32_t, Index>(args...);
        default:
          return gather_as<uint64_t, Index>(args...);
      }
    }
  });
}

} // namespace

struct BoundPasses::Running {
  int64_t row;
  int64_t begin; // of the run
  int64_t end;
  float* out;
  const float* const* accumulators;

  std::byte* slots;
  Accumulator* partial;
  std::byte* uniform;
  const void** where;
  std::byte* vectors;

  int64_t at; // the block's first place in the row
  int64_t place; // and in the space
  size_t n;
  int64_t fetch_distance; // bytes to what the next block reads
};

void BoundPasses::run(
    int64_t row,
    int64_t begin,
    int64_t end,
    float* out,
    const float* const* accumulators) const noexcept {
  std::byte* memory = thread_memory();
  Running now{};
  now.row = row;
  now.begin = begin;
  now.end = end;
  now.out = out;
  now.accumulators = accumulators;
  now.slots = memory;
  memory += slots_ * sizeof(Uniform);
  now.partial = reinterpret_cast<Accumulator*>(memory);
  memory += kMaxReductions * sizeof(Accumulator);
  now.where = reinterpret_cast<const void**>(memory);
  memory += kMaxCode * sizeof(void*);
  now.uniform = memory;
  for (const PassPlan& pass : passes_) {
    now.vectors = now.uniform + pass.uniform_bytes;
    run_pass(pass, now);
  }
  if (streams_) {
    hwy::FlushStream();
  }
}

void BoundPasses::run_pass(const PassPlan& pass, Running& now) const noexcept {
  for (const Place& place : pass.places) {
    switch (place.part) {
      case Place::Part::Vector:
        now.where[place.reg] = now.vectors + place.at;
        break;
      case Place::Part::Uniform:
        now.where[place.reg] = now.uniform + place.at;
        break;
      case Place::Part::Constant:
        now.where[place.reg] = constants_[place.at].bytes;
        break;
      case Place::Part::Slot:
        now.where[place.reg] = now.slots + place.at * sizeof(Uniform);
        break;
    }
  }
  now.at = now.begin;
  now.place = now.row * std::max<int64_t>(width_, 1) + now.begin;
  now.n = kUniformLanes;
  now.fetch_distance = pass.block_length * kFetchedSize;
  for (const Step& step : pass.once) {
    run_step(step, now);
  }
  for (size_t i = 0; i < pass.reductions.size(); ++i) {
    pass.reductions[i].op.start(now.partial[i]);
  }
  if (pass.blocks) {
    const int64_t offset = now.place - now.at;
    for (; now.at < now.end; now.at += pass.block_length) {
      now.place = now.at + offset;
      now.n = std::min(pass.block_length, now.end - now.at);
      run_block(pass, now);
    }
  }
  for (size_t i = 0; i < pass.reductions.size(); ++i) {
    const Reduce& r = pass.reductions[i];
    r.op.finish(now.partial[i], now.slots + r.slot * sizeof(Uniform));
  }
  for (const StorePlan& s : pass.stores) {
    if (s.each_row) {
      s.store(
          {accesses_[s.access].at(now.row),
           1,
           now.where[s.value],
           0,
           1,
           false});
    }
  }
}

void BoundPasses::run_block(const PassPlan& pass, Running& now) const noexcept {
  for (const Step& step : pass.block) {
    if (step.direct >= 0) {
      const StorePlan& s = pass.stores[step.direct];
      now.where[step.to] = s.access < 0
          ? static_cast<void*>(now.out + (now.at - now.begin))
          : accesses_[s.access].at(now.place);
    }
    run_step(step, now);
  }
  for (size_t i = 0; i < pass.reductions.size(); ++i) {
    const Reduce& r = pass.reductions[i];
    r.op.add({&now.partial[i], now.where[r.value], r.mask, now.n, now.at});
  }
  for (const StorePlan& s : pass.stores) {
    if (!s.each_row && !s.direct) {
      store_block(s, now);
    }
  }
}

void BoundPasses::run_step(const Step& step, Running& now) const noexcept {
  // Registers are ours to write, but not where they alias inputs.
  void* to = const_cast<void*>(now.where[step.to]);
  switch (step.act) {
    case Act::Compute: {
      BlockArgs args{
          to,
          {now.where[step.in[0]], now.where[step.in[1]], now.where[step.in[2]]},
          step.mask,
          now.n,
          {},
          step.fetches,
          step.stream};
      for (int k = 0; k < step.fetches; ++k) {
        args.fetch[k] =
            static_cast<const std::byte*>(now.where[step.fetch[k]]) +
            now.fetch_distance;
      }
      step.compute(args);
      break;
    }
    case Act::Alias:
      now.where[step.to] = accesses_[step.access].at(now.place);
      break;
    case Act::Accumulator:
      now.where[step.to] = now.accumulators[step.access] + (now.at - now.begin);
      break;
    case Act::Index:
      fill_index(static_cast<int32_t*>(to), now.at, now.n);
      break;
    case Act::Pick:
      pick(step, now);
      break;
    case Act::LoadOnce: {
      const Access& access = accesses_[step.access];
      if (access.empty()) {
        std::memset(to, 0, sizeof(Uniform));
        break;
      }
      step.load(to, access.at(now.place), 1, 1);
      spread(to, loaded_size(access));
      break;
    }
    case Act::Load: {
      const Access& access = accesses_[step.access];
      auto* next = static_cast<std::byte*>(to);
      access.for_runs(
          now.place, static_cast<int64_t>(now.n), [&](char* from, int64_t n) {
            step.load(next, from, access.stride(), static_cast<size_t>(n));
            next += static_cast<size_t>(n) * loaded_size(access);
          });
      break;
    }
  }
}

void BoundPasses::pick(const Step& step, Running& now) const noexcept {
  constexpr size_t kAtOnce = 64;
  alignas(64) std::byte raw[8 * kAtOnce];
  const Access& access = accesses_[step.access];
  const size_t stored = lang::size_of(access.type());
  const size_t size = loaded_size(access);
  const size_t index_size = lang::size_of(step.type);
  const char* from = access.at(now.row);
  auto* to = static_cast<char*>(const_cast<void*>(now.where[step.to]));
  const auto* at = static_cast<const char*>(now.where[step.in[0]]);
  for (size_t i = 0; i < now.n; i += kAtOnce) {
    const size_t n = std::min(kAtOnce, now.n - i);
    gather(
        stored,
        step.type,
        static_cast<void*>(raw),
        from,
        step.own_stride,
        step.length,
        static_cast<const void*>(at + (i & step.mask[0]) * index_size),
        step.mask[0],
        n);
    step.load(to + i * size, raw, 1, n);
  }
}

void BoundPasses::store_block(const StorePlan& s, Running& now) const noexcept {
  const auto* from = static_cast<const char*>(now.where[s.value]);
  if (s.access < 0) {
    s.store({now.out + (now.at - now.begin), 1, from, s.mask, now.n, false});
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
