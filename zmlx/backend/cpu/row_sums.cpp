#include <algorithm>

#include "zmlx/backend/cpu/passes.h"
#include "zmlx/backend/cpu/sum_output.h"
#include "zmlx/backend/cpu/sums.h"
#include "zmlx/backend/stages/scratch.h"
#include "zmlx/lang/space.h"

namespace zmlx::backend::cpu {
namespace {

constexpr int64_t kGrain = 64; // columns of a part are multiples

/// A row of the space and the row that it is added to.
struct Entry {
  int64_t target, row;
  auto operator<=>(const Entry&) const = default;
};

struct Target {
  int output;
  SumOutput to;
  int64_t rows, width;
};

class RowSums : public Launch {
 public:
  RowSums(
      const RowSumGroup& group,
      const Binding& sums,
      const Binding& names,
      bool places_apart)
      : sums_(group.sums.row.passes, group.sums.row.slots, sums),
        names_(group.names.row.passes, group.names.row.slots, names),
        given_(group.given),
        columns_(places_apart) {
    for (const auto& pass : group.sums.row.passes) {
      for (const auto& store : pass.stores) {
        const View& view = sums.outputs[store.output];
        const int64_t width = view.shape.back();
        const SumOutput to(view, pass.code[store.value].type);
        const int64_t rows =
            lang::count({view.shape.data(), view.shape.size() - 1});
        targets_.push_back({store.output, to, rows, width});
        most_rows_ = std::max(most_rows_, rows);
        columns_ = columns_ && width == sums_.width();
      }
    }
  }

  void run(int part, int parts) const noexcept override;

  std::optional<Fault> fault() const override {
    auto found = faults_.get();
    found = found ? found : sums_.fault();
    return found ? found : names_.fault();
  }

 private:
  Entry* order(Entry* entries) const noexcept;
  void check(int64_t target) const noexcept;
  void run_columns(
      const Entry* entry,
      const Entry* last,
      int64_t first_target,
      int64_t last_target,
      int64_t begin,
      int64_t end,
      uint64_t* memory) const noexcept;

  BoundPasses sums_;
  BoundPasses names_;
  bool given_;
  bool columns_; // the parts divide the columns, else the rows of the output
  std::vector<Target> targets_;
  int64_t most_rows_ = 0;
  mutable FaultCell faults_;
};

void RowSums::check(int64_t target) const noexcept {
  for (const Target& t : targets_) {
    if (given_ && (target < 0 || target >= t.rows)) {
      faults_.record({target, t.rows, true, true, t.output});
    }
  }
}

// The rows of the space by the row they name, in their order where they name
// the same one. Gives the end.
Entry* RowSums::order(Entry* entries) const noexcept {
  Entry* end = entries;
  for (int64_t row = 0; row < names_.rows(); ++row) {
    int64_t target = 0;
    names_.run(row, 0, names_.width(), {.named = &target});
    check(target);
    if (target >= 0 && target < most_rows_) {
      *end++ = {target, row};
    }
  }
  std::sort(entries, end);
  return end;
}

void RowSums::run(int part, int parts) const noexcept {
  const int64_t width = sums_.width();
  const auto bytes = static_cast<size_t>(names_.rows()) * sizeof(Entry);
  std::byte* scratch = stages::thread_scratch(
      bytes + targets_.size() * static_cast<size_t>(width + 1) * 8);
  auto* entries = reinterpret_cast<Entry*>(scratch);
  auto* memory = reinterpret_cast<uint64_t*>(scratch + bytes);
  const Entry* last = order(entries);
  if (columns_ && width >= parts * kGrain) {
    const auto column = [&](int p) {
      return p == parts ? width : width / kGrain * p / parts * kGrain;
    };
    run_columns(
        entries, last, 0, most_rows_, column(part), column(part + 1), memory);
    return;
  }
  // An output row belongs to one part.
  const auto boundary = [&](int p) -> int64_t {
    const int64_t n = last - entries;
    return p == parts ? most_rows_
        : p == 0      ? 0
        : n == 0      ? most_rows_ * p / parts
                      : entries[n * p / parts].target;
  };
  const int64_t first_target = boundary(part);
  const Entry* first = std::lower_bound(
      static_cast<const Entry*>(entries), last, Entry{first_target, 0});
  run_columns(first, last, first_target, boundary(part + 1), 0, width, memory);
}

void RowSums::run_columns(
    const Entry* entry,
    const Entry* last,
    int64_t first_target,
    int64_t last_target,
    int64_t begin,
    int64_t end,
    uint64_t* memory) const noexcept {
  void* now[kMaxOutputs] = {};
  const auto stride = static_cast<size_t>(end - begin + 1);
  for (size_t k = 0; k < targets_.size(); ++k) {
    now[targets_[k].output] = memory + k * stride;
  }
  for (int64_t target = first_target; target < last_target; ++target) {
    std::fill_n(memory, targets_.size() * stride, 0);
    for (; entry < last && entry->target == target; ++entry) {
      sums_.run(entry->row, begin, end, {.sums = now});
    }
    for (size_t k = 0; k < targets_.size(); ++k) {
      const Target& t = targets_[k];
      const bool whole = t.width != sums_.width();
      if (target < t.rows) {
        t.to.store(
            target * t.width + (whole ? 0 : begin),
            whole ? t.width : end - begin,
            memory + k * stride);
      }
    }
  }
}

} // namespace

std::unique_ptr<Launch> make_row_sums(
    const RowSumGroup& group,
    std::span<const View> inputs,
    std::span<const View> outputs,
    const lang::Shape& space) {
  const Binding names{inputs, outputs, group.names.roles, space};
  Binding sums = names;
  sums.sums.resize(outputs.size());
  for (const auto& pass : group.sums.row.passes) {
    for (const auto& store : pass.stores) {
      sums.sums[store.output] = true;
    }
  }
  return std::make_unique<RowSums>(
      group, sums, names, places_apart(group.sums));
}

} // namespace zmlx::backend::cpu
