#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "zmlx/backend/cpu/access.h"
#include "zmlx/backend/cpu/fault_cell.h"
#include "zmlx/backend/cpu/loop/loop.h"
#include "zmlx/backend/cpu/vector.h"
#include "zmlx/backend/store_groups.h"

namespace zmlx::backend::cpu {

/// How the places of a space are run.
enum class Walk : uint8_t {
  Rows, // rows along the last axis
  Flat, // runs of any length: for maps that do not ask where they are
  /// A product's store: rows, slots are accumulators given to run(), and only
  /// stores into outputs whose last axis is that of the space are run.
  Store,
};

/// No back end program is longer; unsupported() asks for these.
inline constexpr size_t kMaxCode = 512; // instructions of a pass
inline constexpr int kMaxSlots = 128;
inline constexpr size_t kMaxReductions = 128; // of a pass
inline constexpr size_t kMaxPointers = 64; // of a loop
inline constexpr size_t kMaxPartials = 4; // reductions of a loop
inline constexpr int64_t kMaxStages = 3; // rows that run at once

/// Output of a store that is no array but a float32 row, RowValues::out.
inline constexpr int kRowOutput = -1;

/// What passes are bound to.
struct Binding {
  std::span<const View> inputs;
  std::span<const View> outputs;
  std::span<const lang::Role> roles; // of the inputs; none: all are Element
  lang::Shape space;
  Walk walk = Walk::Rows;
  int64_t run = 0; // Flat: places of a run, which divides the space; 0: all
  /// For each output, whether its stores are added up in RowValues::sums; none:
  /// no output is.
  std::vector<bool> sums = {};
  /// Whether loops are assembled. Where the machine does not run them, the
  /// passes must not be run either.
  bool assemble = assembles();
};

/// What one run reads and writes beside the arrays.
struct RowValues {
  float* out = nullptr; // kRowOutput, at the first place
  const float* const* accumulators = nullptr; // Walk::Store, at the first place
  /// By output: its sum (double, or uint64_t for integers) for the first place
  /// and the places after it.
  void* const* sums = nullptr;
  int64_t* named = nullptr; // kNamedOutput
};

/// Called after each row or, where rows run at once, after as much work. The
/// call must not run passes on this thread, whose memory rows keep.
struct AfterRow {
  void (*call)(void* of) noexcept = nullptr;
  void* of = nullptr;
};

/// Passes of a vector program with everything resolved: which function, which
/// memory, which block length. What uniform code gives is computed once per
/// row, the rest block by block.
///
/// Any number of threads may run different rows at once, and the results do not
/// depend on the thread. Nothing is allocated, but for the memory of a thread
/// in its first run. All that a thread runs shares it: no run inside another.
///
/// Memory of a thread while it runs: slots, accumulators, uniform registers,
/// where each register lies, running sums, vector registers (reused as their
/// values die), and values of the whole row that are dear and that a later pass
/// reads again.
class BoundPasses {
 public:
  /// InternalError where program, views and space do not fit.
  BoundPasses(
      std::span<const lang::Pass> passes,
      int slots,
      const Binding& binding);

  /// Rows, or runs of a flat walk, and the places of each.
  int64_t rows() const {
    return rows_;
  }
  int64_t width() const {
    return width_;
  }

  /// Goes over to other memory; see Launch::rebind.
  bool rebind(std::span<void* const> inputs, std::span<void* const> outputs);

  /// From now on RowValues::sums of these outputs, of float32 values along the
  /// row, are floats.
  void add_in_floats(const std::vector<bool>& outputs);

  /// Places begin .. end of a row. A program with reductions or running sums
  /// needs the whole row.
  void run(
      int64_t row,
      int64_t begin,
      int64_t end,
      const RowValues& values = {}) const noexcept;

  /// Whole rows first .. end. Passes of neighbouring rows may run at once, so
  /// that storing and reading overlap with computing; what they give is what
  /// run() gives.
  void run_rows(
      int64_t first,
      int64_t end,
      const RowValues& values = {},
      const AfterRow& after = {}) const noexcept;

  /// To be called after the last run of a share: what it wrote is then seen by
  /// other threads.
  void finish() const noexcept;

  std::optional<Fault> fault() const {
    return fault_->get();
  }

  /// Whether assembled loops compute all that is computed at each place, and
  /// whether run_rows() runs two rows at once.
  bool assembled() const;
  bool overlaps() const {
    return overlap_.code != nullptr;
  }
  /// The loops and their code, for people to read; empty where there are none.
  std::string listing() const;
  /// Whether machine code goes from row to row itself.
  bool loops_rows() const {
    return row_loop_ >= 0;
  }

 private:
  friend class PassBuilder;

  enum class Act : uint8_t {
    Load, // an input through its access
    LoadOnce, // one element of it, for the whole row
    Alias, // a register that is the input's memory
    Accumulator, // a register that is an accumulator's memory
    Index,
    RowIndex,
    Pick,
    Take,
    Random,
    Scan,
    Kept, // a register that an earlier pass left in the row's memory
    Fixed, // a register that is the same in every row, made when bound
    Compute,
    Loop, // `loops_[access]`, which makes registers of its own
  };

  /// Where a memory of a loop is when it runs.
  struct Pointer {
    enum class From : uint8_t {
      Register, // where `reg` lies
      Access, // through access `number`, and `bytes` after it
      Picked, // through access `number`, that of the row
      Windows, // those of the block, of `windows_[number]`
      Fixed, // the block in `fixed_[number]`, `bytes` an element
      Row, // RowValues::out
      Sum, // RowValues::sums of output `number`
      Partial, // of the loop's reduction `number`
      Places, // 16 places of the row, from the block's first on
    };
    From from;
    uint16_t reg = 0;
    int64_t number = 0;
    int64_t bytes = 0;
  };

  /// Of an input that other passes read too.
  struct NextRow {
    int access = 0;
    int64_t bytes = 0; // to its next row; 0: it is not worth fetching
    lang::Type stored = lang::Type::F32;
    bool last = false; // no later pass reads this row
  };

  struct LoopPlan {
    int phase = 0; // which loop of its pass it is
    Loop loop;
    std::shared_ptr<const LoopCode> code;
    std::vector<Pointer> pointers; // by memory
    std::vector<size_t> reductions; // of the pass, in the loop's order
    std::vector<uint16_t> reads, makes; // registers; kept ones lie elsewhere
    std::vector<NextRow> next_rows;
  };

  struct Step {
    Act act = Act::Compute;
    uint16_t to = 0; // register
    int operands = 0;
    std::array<uint16_t, kMaxOperands> in{}; // registers
    std::array<size_t, kMaxOperands> mask{};
    int64_t kept = -1; // bytes of the row's memory before its first place
    BlockOp compute = nullptr;
    LoadOp load = nullptr;
    LoadOp run = nullptr; // Pick: of places that follow each other
    int runs = -1; // Pick: of which `runs_`, where the places are fixed
    int windows = -1; // Pick: which `windows_` loops may read it by
    ScanOp scan = nullptr;
    int carry = 0; // Scan: which running sum
    int access = -1; // Load, Alias, Pick, Take; Accumulator: its number
    int direct = -1; // the store whose memory the step writes
    bool stream = false; // past the caches
    lang::Type type = lang::Type::F32; // Pick, Take: of the index
    int64_t length = 0; // Pick: of the input's own axis; Take: rows
    int64_t own_stride = 0; // Pick, Take: along the last axis
    int input = -1; // Pick, Take: its number, where it may have a fault
  };

  struct StorePlan {
    uint16_t value;
    size_t mask;
    int access; // kRowOutput, kNamedOutput: as the output
    StoreOp store;
    bool each_row; // one element per row
    bool direct; // already written by its step or its loop
    bool stream;
    int64_t size; // bytes of an element
  };

  struct AddPlan {
    uint16_t value = 0;
    size_t value_mask = 0;
    int output = 0;
    bool each_row = false; // one value per row
    bool along = false; // one sum a place, else one for all places of the row
    bool real = false; // sums are doubles
    AccumulateOp add = nullptr; // along
    ReduceOp reduce{}; // else
    BlockOp add_floats = nullptr; // float32 values along, to float sums
    bool in_loop = false;
  };

  struct Reduce {
    uint16_t value;
    size_t value_mask;
    int slot;
    ReduceOp op;
    bool in_loop = false;
  };

  // Where a register lies.
  struct Place {
    enum class Part : uint8_t { Vector, Uniform, Constant, Slot };
    uint16_t reg;
    Part part;
    size_t at; // bytes into that part
  };

  struct PassPlan {
    std::vector<Place> places;
    std::vector<Step> once; // what is one value per row
    // How many of these all rows share, the first ones. They are made once for
    // rows of this one pass that follow each other, else with each row.
    size_t shared = 0;
    std::vector<Step> block;
    std::vector<Reduce> reductions;
    std::vector<StorePlan> stores;
    std::vector<AddPlan> adds;
    bool blocks = false; // whether anything is done block by block
    bool backwards = false; // from the end of the row
    int carries = 0; // running sums
    int64_t block_length = 0;
  };

  struct alignas(64) Uniform {
    std::byte bytes[8 * kUniformLanes];
  };

  /// A value that stays in the row's memory from the pass that makes it.
  struct KeptValue {
    int id;
    int64_t offset; // bytes
    bool made = false; // by a pass that was built: not where it is one per row
  };

  /// Passes of a row that run one after the other; that of one of them is part
  /// of the loop that stages of neighbouring rows share.
  struct Stage {
    size_t begin, end;
    size_t shared;
    std::vector<size_t> reductions; // of the shared pass, in the loop's order
  };

  /// Stage s of row r runs with stage s + 1 of row r - 1, and so on: the loops
  /// of their passes as one.
  struct Overlap {
    std::vector<Stage> stages;
    Loop loop;
    std::shared_ptr<const LoopCode> code; // null: rows run apart
    std::vector<Pointer> pointers;
    std::vector<size_t> stage_of; // by pointer
    int64_t block_length = 0;
  };

  void choose_kept(std::span<const lang::Pass> passes);
  void overlap_rows();
  Overlap overlap_of(const std::vector<size_t>& shared) const;
  bool writes_elsewhere() const;
  const LoopPlan* only_loop(const PassPlan& pass) const;

  struct RowMemory;
  struct Running; // what one run() knows

  void choose_row_loop();
  MergedAxes::Stretch stretch_of(const Pointer& pointer, const Running& now)
      const noexcept;
  void run_row_loop(int64_t first, int64_t end, Running& now) const noexcept;

  static void start(Running& now, size_t stage) noexcept;
  void run_stages(Running* rows, int64_t first, int64_t end, int64_t newest)
      const noexcept;
  void run_shared(Running* const* rows) const noexcept;
  void run_shared_block(Running* const* rows, int64_t at) const noexcept;
  static void join(
      const std::vector<size_t>& reductions,
      const Partial* partials,
      const PassPlan& pass,
      Running& now) noexcept;
  void run_pass(const PassPlan& pass, Running& now) const noexcept;
  void put_places(const PassPlan& pass, Running& now) const noexcept;
  void begin_pass(const PassPlan& pass, Running& now) const noexcept;
  void run_blocks(const PassPlan& pass, Running& now) const noexcept;
  void run_block(const PassPlan& pass, Running& now) const noexcept;
  void reduce(const PassPlan& pass, Running& now) const noexcept;
  void end_pass(const PassPlan& pass, Running& now) const noexcept;
  void run_step(const Step& step, const PassPlan& pass, Running& now)
      const noexcept;
  void compute(const Step& step, void* to, Running& now) const noexcept;
  void run_loop(const LoopPlan& loop, const PassPlan& pass, Running& now)
      const noexcept;
  void* pointer_of(const Pointer& pointer, Partial* partials, Running& now)
      const noexcept;
  void load(const Step& step, void* to, Running& now) const noexcept;
  void pick_runs(const Step& step, void* out, Running& now) const noexcept;
  void pick(const Step& step, void* to, Running& now) const noexcept;
  void take(const Step& step, void* to, Running& now) const noexcept;
  void store_block(const StorePlan& store, Running& now) const noexcept;
  void add_up(const AddPlan& add, size_t n, Running& now) const noexcept;

  int64_t rows_ = 0;
  int64_t width_ = 0;
  bool streams_ = false;
  int slots_ = 0;
  std::vector<PassPlan> passes_;
  std::vector<Access> accesses_;
  /// Places `begin` .. `end` of a row are read from `from` on.
  struct PickedRun {
    int64_t begin;
    int64_t end;
    int64_t from;
  };

  std::vector<std::vector<std::byte>> fixed_; // rows that are always the same
  std::vector<std::vector<PickedRun>> runs_;
  std::vector<PickWindows> windows_;
  std::vector<LoopPlan> loops_;
  Overlap overlap_;
  int row_loop_ = -1; // of `loops_`: that rows are nothing else
  std::vector<bool> floats_; // add_in_floats()
  std::vector<int> sources_; // of accesses: input n, or ~n for output n
  std::vector<Uniform> constants_;
  std::vector<KeptValue> kept_;
  std::unique_ptr<FaultCell> fault_ = std::make_unique<FaultCell>();
};

} // namespace zmlx::backend::cpu
