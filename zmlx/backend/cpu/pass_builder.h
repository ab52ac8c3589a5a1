#pragma once

#include <array>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "zmlx/backend/cpu/passes.h"
#include "zmlx/base/errors.h"

namespace zmlx::backend::cpu {

/// What the vector registers of a pass may take together: most of L1, beside
/// the memory that streams through.
inline constexpr size_t kVectorBytes = 24 * 1024;
inline constexpr int64_t kMaxBlock = 1024;
/// Of a pass that needs no vector registers, such as a plain sum.
inline constexpr int64_t kMaxViewBlock = 4096;
/// Of a map by loops alone.
inline constexpr int64_t kMaxLoopBlock = 1 << 16;
inline constexpr int64_t kMinBlock = 16;
/// Values of a row that are kept for a later pass: some of L2.
inline constexpr int64_t kKeptBytes = 256 * 1024;

/// Resolves one pass of a program; used by BoundPasses while it is made.
class PassBuilder {
 public:
  PassBuilder(
      BoundPasses& bound,
      std::span<const lang::Pass> passes,
      size_t number,
      const Binding& binding);

  /// InternalError where the pass does not fit.
  void build();

 private:
  using Act = BoundPasses::Act;
  using Step = BoundPasses::Step;
  using From = BoundPasses::Pointer::From;

  template <typename... Args>
  static void
  require(bool fits, fmt::format_string<Args...> what, Args&&... args) {
    if (!fits) {
      throw internal_error(
          "vector program: {}", fmt::format(what, std::forward<Args>(args)...));
    }
  }
  /// Calls visit(register) for what the pass stores, reduces or adds up.
  template <typename Visit>
  void for_each_sink(Visit visit) const {
    const auto visit_all = [&](const auto& plans) {
      for (const auto& plan : plans) {
        visit(plan.value);
      }
    };
    visit_all(plan_.stores);
    visit_all(plan_.reductions);
    visit_all(plan_.adds);
  }
  void check() const;
  void choose_stores();
  void mark_needed();
  void resolve(size_t i);
  void resolve_input(size_t i);
  void resolve_number(size_t i, double value);
  void resolve_slot(size_t i);
  void resolve_pick(size_t i);
  void resolve_take(size_t i);
  void resolve_random(size_t i);
  void resolve_scan(size_t i);
  void set_index(size_t i, int64_t length, Step& step) const;
  void resolve_compute(size_t i);
  void add_reductions();
  void place_stores();
  bool place_sum(const lang::Store& store);
  void place_store(const lang::Store& store, BoundPasses::StorePlan& plan);
  void load_overwritten();
  std::vector<size_t> last_reads() const;
  void assign_registers();
  int64_t block_length(size_t bytes) const;
  void make_loops();
  struct Phases;
  struct Draft;
  bool may_loop(const Step& step) const;
  bool loop_reads(const Step& step) const;
  bool overwritten(int access) const;
  void leave_to_loops();
  bool draft_loops();
  bool loop_stores(const BoundPasses::StorePlan& store, const Phases& phases);
  bool loop_reduces(size_t number) const;
  bool loop_adds(const BoundPasses::AddPlan& add) const;
  Phases find_phases() const;
  void choose_sinks(const Phases& phases);
  std::vector<bool> read_apart() const;
  void mark_raw(const std::vector<bool>& apart);
  std::vector<bool> read_outside(
      const Phases& phases,
      const std::vector<bool>& apart) const;
  int loop_value(Draft& draft, const Phases& phases, uint16_t reg);
  static int phase_of_sink(const Phases& phases, uint16_t reg);
  void draft_sinks(Draft& draft, const Phases& phases);
  void draft_fetches(Draft& draft);
  void place_loops(
      std::vector<Draft>& drafts,
      const Phases& phases,
      const std::vector<bool>& apart);
  BoundPasses::Pointer pointer_to(uint16_t reg);
  Step* step_of(uint16_t reg);
  BoundPasses::KeptValue* kept(size_t i);
  BoundPasses::NextRow next_row(const Step& step) const;
  std::vector<int> count_reads() const;
  /// Whether the register is memory that is there, not the step's own.
  static bool is_view(const Step& step) {
    return step.act == Act::Alias || step.act == Act::Accumulator ||
        step.act == Act::Kept || step.act == Act::Fixed;
  }
  static Step step_of(Act act, size_t i);
  void put_step(Step step, bool once);
  bool put_fixed(const Step& step, bool once);
  bool put_fixed_row(const Step& step, BlockArgs& args);
  bool rows_share(const Step& step) const;
  const void* fixed_memory(uint16_t reg) const;
  void find_runs(Step& pick) const;
  int windows_of(const Step& pick);
  int access_of_rows(int input);
  bool picks() const;
  void put_constant(uint16_t reg, const BoundPasses::Uniform& value);
  std::optional<uint16_t> chosen(uint16_t reg) const;
  void drop_dead();
  void free_fixed(size_t first);
  size_t mask(uint16_t reg) const {
    return once_[reg] ? 0 : ~size_t{0};
  }
  int add_access(Access access, int source);
  lang::Shape row_space() const;
  View meeting(int input) const;
  bool overlaps_input(const Access& output) const;
  void place_direct();
  void try_direct(size_t store, const std::vector<int>& reads);

  BoundPasses& bound_;
  std::span<const lang::Pass> passes_;
  size_t number_; // of the pass
  const lang::Pass& pass_;
  const Binding& binding_;

  BoundPasses::PassPlan plan_;
  std::vector<lang::Store> stores_; // those of this walk
  std::vector<bool> given_; // registers whose value depends on an input
  std::vector<bool> needed_;
  std::vector<bool> once_; // one value per row
  std::vector<bool> shared_; // and the same in every row
  /// Of a register that no row changes: which of the bound constants, or which
  /// fixed row.
  struct Fixed {
    int constant = -1;
    int row = -1;
  };
  std::vector<Fixed> fixed_;
  std::map<int, int> picked_rows_; // by input that is picked from: the access
  /// By fixed row and length of what is picked from: which windows, -1: none.
  std::map<std::pair<int, int64_t>, int> windows_;
  std::vector<int> read_; // accesses of inputs that the pass reads
  std::vector<bool> raw_; // registers that are an input as it is stored
  std::vector<bool> picked_; // those that loops pick
};

} // namespace zmlx::backend::cpu
