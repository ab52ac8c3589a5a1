#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "zmlx/backend/backend.h"
#include "zmlx/export.h"
#include "zmlx/graph/node.h"
#include "zmlx/plan/state.h"

namespace zmlx::plan {

/// A folded step made ready to run without MLX: which kernels run in which
/// launch, and where in one arena each value lives. Keeps the weights alive.
/// Immutable; any number of conversations, of any capacity, replay it.
class ZMLX_API Plan {
 public:
  /// For the peer of the graph's device. Null, with the reason in *why (unless
  /// that is null), where a part of the graph has no kernel there.
  static std::shared_ptr<const Plan> make(
      std::shared_ptr<const graph::Graph> graph,
      std::string* why);

  /// Nodes that may run at the same time, and those that may run in their
  /// launch, after them, in order.
  struct Round {
    std::vector<int> nodes;
    std::vector<int> tails;
    bool only_for_outputs = false; // no cache depends on it
  };

  const backend::Peer& peer() const {
    return *peer_;
  }
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
  /// Where a constant lies in the peer's memory.
  backend::Address constant(int node) const {
    return constants_[node].address;
  }

 private:
  bool find_executables(std::string* why);
  void schedule();
  void mark_only_for_outputs();
  void place();

  const backend::Peer* peer_ = nullptr;
  std::shared_ptr<const graph::Graph> graph_;
  std::vector<Round> rounds_;
  std::vector<std::shared_ptr<const backend::Executable>> executables_;
  std::vector<backend::Memory> constants_;
  std::vector<std::vector<int64_t>> offsets_;
  size_t arena_bytes_ = 0;
};

/// A plan bound to one conversation's memory.
class ZMLX_API Replay {
 public:
  /// The state is of the plan's peer and lives longer.
  Replay(std::shared_ptr<const Plan> plan, State& state);
  /// Waits for the steps that are in flight, so that what begin_read_choice was
  /// given has been written.
  ~Replay();
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  /// Gives the peer the step on `token`, which the caller knows to be in the
  /// vocabulary, or without one on the likeliest token of the step before, and
  /// returns the next ticket. Without `with_outputs`, what only the outputs
  /// need is left out: for the tokens of a prompt before its last. No
  /// allocation (but for the first step of each kind) and no call of MLX
  /// happens here. Does not wait for the step.
  Ticket
  step(Ticket ticket, std::optional<int> token, bool with_outputs = true);

  /// UserError where an index of the last step was outside its array.
  void check_faults() const;

  /// Output `number` of the graph after the last step with outputs, as bytes in
  /// row-major order. Waits for it. UserError where the step met an index that
  /// lies outside its array.
  void read(int number, void* to, size_t bytes);
  /// What a step says about the next token.
  struct Choice {
    uint32_t token = 0; // chosen; the likeliest as a rule
    float logit = 0; // the largest, NaN where any is
  };
  /// That of the last step; waits for it and refuses as read does.
  Choice read_choice();
  /// The same once the state's queue has been waited for up to the mark that
  /// this returns.
  uint64_t begin_read_choice(Choice* to);

  size_t memory_bytes() const {
    return arena_.bytes;
  }

 private:
  enum OutputNumber { Logits, Likeliest, Largest };

  std::unique_ptr<backend::Sequence> make_sequence(bool with_outputs) const;
  backend::SequenceItem item_of(int node, int group, int tail_of) const;
  backend::View view_of(const graph::Operand& operand) const;
  backend::Address storage_of(graph::Ref ref) const;
  backend::Address output(int number) const;
  std::string name_of_item(int item) const; // of the whole step

  std::shared_ptr<const Plan> plan_;
  State& state_;
  graph::Graph graph_; // the plan's, for the capacity of the state
  backend::Memory arena_;
  std::unique_ptr<backend::Sequence> whole_step_;
  std::unique_ptr<backend::Sequence> without_outputs_; // when first needed
};

} // namespace zmlx::plan
