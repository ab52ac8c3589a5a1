#include "zmlx/backend/cpu/sequence.h"

#include <algorithm>

#include "zmlx/backend/cpu/launch.h"
#include "zmlx/backend/cpu/pool.h"
#include "zmlx/backend/order.h"
#include "zmlx/base/errors.h"

namespace zmlx::backend::cpu {
namespace {

struct Bound {
  int item;
  std::unique_ptr<Launch> launch;
};

/// Launches that run at the same time, sharing the threads, and those that the
/// last thread to be done runs after them, in order.
struct Round {
  std::vector<Bound> launches;
  std::vector<Bound> tails;
};

std::unique_ptr<Launch> bind(const SequenceItem& item) {
  const auto* executable =
      dynamic_cast<const Executable*>(item.executable.get());
  if (!executable) {
    throw internal_error("cpu: a sequence with an executable of another peer");
  }
  return executable->bind(item.inputs, item.outputs);
}

class CpuSequence : public Sequence, private Work {
 public:
  explicit CpuSequence(std::vector<SequenceItem> items)
      : items_(std::move(items)) {
    const auto waits = waits_of(items_);
    for (size_t n = 0; n < items_.size(); ++n) {
      const int number = static_cast<int>(n);
      if (is_tail(number)) {
        rounds_.back().tails.push_back({number, bind(items_[n])});
        continue;
      }
      if (!joins_last_round(number, waits[n].items)) {
        rounds_.emplace_back();
      }
      rounds_.back().launches.push_back({number, bind(items_[n])});
    }
  }

  void run() {
    Pool::shared().run(*this, static_cast<int>(rounds_.size()));
  }

  void run(int round, int part, int parts) noexcept override {
    for (const auto& bound : rounds_[round].launches) {
      bound.launch->run(part, parts);
    }
  }

  void finish(int round) noexcept override {
    for (const auto& bound : rounds_[round].tails) {
      bound.launch->run(0, 1);
    }
  }

  void prefetch(int round, int part, int parts) noexcept override {
    for (const auto& bound : rounds_[round].launches) {
      bound.launch->prefetch(part, parts);
    }
  }

  std::optional<std::pair<int, Fault>> fault() const override {
    for (const Round& round : rounds_) {
      for (const auto* list : {&round.launches, &round.tails}) {
        for (const Bound& bound : *list) {
          if (auto fault = bound.launch->fault()) {
            return std::pair(bound.item, *fault);
          }
        }
      }
    }
    return std::nullopt;
  }

 private:
  static bool has(const std::vector<Bound>& list, int item) {
    return std::ranges::any_of(
        list, [&](const Bound& bound) { return bound.item == item; });
  }

  /// What waits for the last round and its tails alone.
  bool is_tail(int item) const {
    return !rounds_.empty() && items_[item].hints.tail_of >= 0 &&
        has(rounds_.back().launches, items_[item].hints.tail_of);
  }

  bool joins_last_round(int item, const std::vector<int>& waits) const {
    if (rounds_.empty() || items_[item].hints.group < 0) {
      return false;
    }
    const Round& last = rounds_.back();
    const int group = items_[last.launches.back().item].hints.group;
    return group == items_[item].hints.group && last.tails.empty() &&
        std::ranges::none_of(
               waits, [&](int other) { return has(last.launches, other); });
  }

  std::vector<SequenceItem> items_; // keeps the executables
  std::vector<Round> rounds_;
};

} // namespace

std::unique_ptr<Sequence> make_sequence(std::vector<SequenceItem> items) {
  return std::make_unique<CpuSequence>(std::move(items));
}

void run_sequence(Sequence& sequence) {
  auto* mine = dynamic_cast<CpuSequence*>(&sequence);
  if (!mine) {
    throw internal_error("cpu: asked to run a sequence of another peer");
  }
  mine->run();
}

} // namespace zmlx::backend::cpu
