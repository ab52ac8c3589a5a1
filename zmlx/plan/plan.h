#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "zmlx/backend/backend.h"
#include "zmlx/export.h"
#include "zmlx/graph/node.h"
#include "zmlx/plan/state.h"

namespace zmlx::plan {

/// A folded step made ready to run without MLX: which kernels run in which
/// launch, and where in one arena each value lives. Immutable; any number of
/// conversations replay it.
class ZMLX_API Plan {
 public:
  /// Null, with the reason in *why, where a part of the graph has no kernel.
  static std::shared_ptr<const Plan> make(
      std::shared_ptr<const graph::Graph> graph,
      std::string* why);

  /// Nodes that run at the same time, sharing the threads, and those that the
  /// last thread to be done runs after them, in order.
  struct Round {
    std::vector<int> nodes;
    std::vector<int> tails;
    bool only_for_outputs = false; // no cache depends on it
  };

  const graph::Graph& graph() const {
    return *graph_;
  }
  const std::vector<Round>& rounds() const {
    return rounds_;
  }
  /// Bytes into the arena of each result of each node; -1 for what lives
  /// elsewhere.
  int64_t offset(graph::Ref ref) const {
    return offsets_[ref.node][ref.result];
  }
  size_t arena_bytes() const {
    return arena_bytes_;
  }
  std::shared_ptr<const backend::Executable> executable(int node) const {
    return executables_[node];
  }

 private:
  void schedule();
  void mark_only_for_outputs();
  void place();

  std::shared_ptr<const graph::Graph> graph_;
  std::vector<Round> rounds_;
  std::vector<std::shared_ptr<const backend::Executable>> executables_;
  std::vector<std::vector<int64_t>> offsets_;
  size_t arena_bytes_ = 0;
};

/// A plan bound to one conversation's memory.
class ZMLX_API Replay {
 public:
  /// Binds every kernel; the state must not move (State::grow) after this.
  Replay(std::shared_ptr<const Plan> plan, State& state);

  /// Runs the step on `token`, which the caller knows to be in the vocabulary,
  /// and returns the next ticket. Without
  /// `with_outputs`, what only the outputs need is left out: for the tokens of
  /// a prompt before its last. No allocation and no call of MLX happens here.
  Ticket step(Ticket ticket, int token, bool with_outputs = true);

  /// Output `number` of the graph after the last step with outputs.
  const void* output(int number) const;

  size_t memory_bytes() const {
    return arena_.size();
  }

 private:
  backend::View view_of(const graph::Operand& operand) const;
  std::byte* storage_of(graph::Ref ref) const;
  const int32_t* cell_of(graph::Ref ref) const;

  struct Round {
    std::vector<std::unique_ptr<backend::Launch>> launches;
    std::vector<std::unique_ptr<backend::Launch>> tails;
    bool only_for_outputs = false;
  };

  std::unique_ptr<backend::Launch> bind(int node) const;
  void run_round(const Round& round, int part, int parts);

  std::shared_ptr<const Plan> plan_;
  State& state_;
  Buffer arena_;
  std::vector<Round> rounds_;
  std::atomic<int> done_ = 0; // threads that are done with a round with tails
};

} // namespace zmlx::plan
