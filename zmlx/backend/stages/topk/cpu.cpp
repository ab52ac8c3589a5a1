#include "zmlx/backend/stages/topk/cpu.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <vector>

#include "zmlx/backend/cpu/access.h"
#include "zmlx/backend/cpu/executor.h"
#include "zmlx/backend/cpu/passes.h"
#include "zmlx/backend/cpu/vector.h"
#include "zmlx/backend/faults.h"
#include "zmlx/backend/space.h"
#include "zmlx/backend/stages/scratch.h"
#include "zmlx/base/errors.h"

namespace zmlx::backend::stages {

using lang::Type;

namespace {

constexpr int64_t kMostInserted = 256;
constexpr int64_t kBlock = 256;
constexpr uint32_t kNanKey = ~uint32_t{0};

/// A value and its place as a number that orders them: the larger value, then
/// the lower place.
using Entry = uint64_t;

uint32_t key_of(float x) {
  if (x != x) {
    return kNanKey;
  }
  const auto bits = std::bit_cast<uint32_t>(x + 0.0f); // -0 is 0
  return bits >> 31 != 0 ? ~bits : bits | 0x80000000;
}

Entry entry_of(float x, int64_t place) {
  return Entry{key_of(x)} << 32 | ~static_cast<uint32_t>(place);
}

int64_t place_of(Entry entry) {
  return ~static_cast<uint32_t>(entry);
}

/// The k largest entries of a row, descending, into `best`.
class Selection {
 public:
  Selection(Entry* best, int64_t k)
      : best_(best),
        k_(k),
        max_(cpu::find_reduction(lang::Op::MaxOf, Type::F32)) {}

  void add_row(const float* row, int64_t width) {
    for (int64_t at = 0; at < width; at += kBlock) {
      const int64_t n = std::min(kBlock, width - at);
      if (count_ < k_ || may_enter(row + at, n, row)) {
        for (int64_t i = at; i < at + n; ++i) {
          add(entry_of(row[i], i));
        }
      }
    }
  }

 private:
  bool may_enter(const float* block, int64_t n, const float* row) const {
    const Entry last = best_[k_ - 1];
    if (last >> 32 == kNanKey) {
      return false; // nothing is larger, and a later place is behind
    }
    cpu::Accumulator most;
    max_.start(most);
    max_.add({&most, block, ~size_t{0}, static_cast<size_t>(n), 0});
    return !(most.real <= static_cast<double>(row[place_of(last)]));
  }

  void add(Entry entry) {
    if (count_ == k_ && entry <= best_[k_ - 1]) {
      return;
    }
    count_ += count_ < k_ ? 1 : 0;
    Entry* at =
        std::upper_bound(best_, best_ + count_ - 1, entry, std::greater<>());
    std::move_backward(at, best_ + count_ - 1, best_ + count_);
    *at = entry;
  }

  Entry* best_;
  int64_t k_;
  int64_t count_ = 0;
  cpu::ReduceOp max_;
};

void sort_row(const float* row, int64_t width, int64_t k, Entry* entries) {
  for (int64_t i = 0; i < width; ++i) {
    entries[i] = entry_of(row[i], i);
  }
  std::nth_element(entries, entries + k - 1, entries + width, std::greater<>());
  std::sort(entries, entries + k, std::greater<>());
}

/// An output that gets the values or the places.
struct Target {
  bool values;
  cpu::Access to;
  cpu::StoreOp store;
};

class TopKLaunch : public cpu::Launch {
 public:
  TopKLaunch(
      const lang::Program& program,
      std::span<const View> inputs,
      std::span<const View> outputs)
      : k_(program.top.k),
        rows_(
            program.row.passes,
            program.row.slots,
            {inputs, {}, program.roles, find_space(program, inputs, outputs)}) {
    add_targets(program.top.values, true, outputs);
    add_targets(program.top.places, false, outputs);
    if (k_ < 1 || (rows_.rows() > 0 && k_ > rows_.width())) {
      throw internal_error(
          "top-k: the {} largest of rows of {}", k_, rows_.width());
    }
  }

  void run(int part, int parts) const noexcept override {
    const auto width = static_cast<size_t>(rows_.width());
    const auto k = static_cast<size_t>(k_);
    const size_t entries = k_ > kMostInserted ? width : k;
    std::byte* scratch =
        thread_scratch(entries * sizeof(Entry) + (width + 2 * k) * 4);
    auto* best = reinterpret_cast<Entry*>(scratch);
    auto* row = reinterpret_cast<float*>(best + entries);
    float* values = row + width;
    auto* places = reinterpret_cast<uint32_t*>(values + k);
    const int64_t end = rows_.rows() * (part + 1) / parts;
    for (int64_t r = rows_.rows() * part / parts; r < end; ++r) {
      rows_.run(r, 0, rows_.width(), {.out = row});
      if (k_ > kMostInserted) {
        sort_row(row, rows_.width(), k_, best);
      } else {
        Selection(best, k_).add_row(row, rows_.width());
      }
      for (int64_t i = 0; i < k_; ++i) {
        places[i] = static_cast<uint32_t>(place_of(best[i]));
        values[i] = row[places[i]];
      }
      store(r, values, places);
    }
  }

  std::optional<Fault> fault() const override {
    return rows_.fault();
  }

 private:
  void add_targets(
      const std::vector<int>& numbers,
      bool values,
      std::span<const View> outputs) {
    for (int number : numbers) {
      const View& view = outputs[number];
      if (view.shape.empty() || view.shape.back() != k_) {
        throw internal_error("top-k: output {} has not {} places", number, k_);
      }
      targets_.push_back(
          {values,
           cpu::Access(view, view.shape, "top-k: output"),
           cpu::find_store(values ? Type::F32 : Type::U32, view.type, false)});
    }
  }

  void store(int64_t row, const float* values, const uint32_t* places)
      const noexcept {
    for (const Target& target : targets_) {
      const void* from = places;
      const auto* next =
          static_cast<const char*>(target.values ? values : from);
      target.to.for_runs(row * k_, k_, [&](char* to, int64_t n) {
        const auto count = static_cast<size_t>(n);
        target.store({to, target.to.stride(), next, ~size_t{0}, count});
        next += n * 4;
      });
    }
  }

  int64_t k_;
  cpu::BoundPasses rows_;
  std::vector<Target> targets_;
};

class TopKExecutable : public cpu::Executable {
 public:
  explicit TopKExecutable(const lang::Program& program)
      : cpu::Executable(program) {}

  std::unique_ptr<cpu::Launch> bind(
      std::span<const View> inputs,
      std::span<const View> outputs) const override {
    return std::make_unique<TopKLaunch>(program(), inputs, outputs);
  }
};

} // namespace

std::optional<std::string> topk_unsupported(const lang::Program& program) {
  return cpu::vector_unsupported(program);
}

std::shared_ptr<const cpu::Executable> make_topk(const lang::Program& program) {
  if (const auto reason = topk_unsupported(program)) {
    throw internal_error("top-k: {}", *reason);
  }
  return std::make_shared<TopKExecutable>(program);
}

} // namespace zmlx::backend::stages
