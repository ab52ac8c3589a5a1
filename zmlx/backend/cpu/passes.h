#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "zmlx/backend/cpu/access.h"
#include "zmlx/backend/cpu/vector.h"

namespace zmlx::backend::cpu {

/// How the places of a space are run.
enum class Walk : uint8_t {
  Rows, // rows along the last axis
  Flat, // all places as one row: for maps that do not ask where they are
  Store, // rows, and slots are accumulators given to run()
};

/// No back end program is longer; unsupported() asks for these.
inline constexpr size_t kMaxCode = 512; // instructions of a pass
inline constexpr int kMaxSlots = 128;
inline constexpr size_t kMaxReductions = 128; // of a pass

/// Passes of a vector program with everything resolved: which function, which
/// memory, which block length. What uniform code gives is computed once a row,
/// the rest block by block.
///
/// Memory of a thread while it runs: slots, accumulators, uniform registers,
/// where each register lies, vector registers (reused as their values die).
class BoundPasses {
 public:
  /// InternalError where program, views and space do not fit.
  BoundPasses(
      std::span<const lang::Pass> passes,
      int slots,
      std::span<const View> inputs,
      std::span<const View> outputs,
      const lang::Shape& space,
      Walk walk);

  int64_t rows() const {
    return rows_;
  }
  int64_t width() const {
    return width_;
  }

  /// Places begin .. end of a row. A program with reductions needs the whole
  /// row. `out`: memory of output -1 at `begin`.
  void run(
      int64_t row,
      int64_t begin,
      int64_t end,
      float* out = nullptr,
      const float* const* accumulators = nullptr) const noexcept;

 private:
  friend class PassBuilder;

  enum class Act : uint8_t {
    Load, // an input through its access
    LoadOnce, // one element of it, for the whole row
    Alias, // a register that is the input's memory
    Accumulator, // a register that is an accumulator's memory
    Index,
    Pick,
    Compute,
  };

  struct Step {
    Act act;
    uint16_t to; // register
    std::array<uint16_t, 3> in{};
    std::array<size_t, 3> mask{};
    std::array<uint16_t, kMaxFetches> fetch{}; // registers that are streams
    int fetches = 0;
    BlockOp compute = nullptr;
    LoadOp load = nullptr;
    int access = -1; // Load, Alias, Pick; Accumulator: its number
    int direct = -1; // the store whose memory the step writes
    bool stream = false; // past the caches
    lang::Type type = lang::Type::F32; // Pick: of the index
    int64_t length = 0; // Pick: of the input's own axis
    int64_t own_stride = 0; // Pick: along it
  };

  struct StorePlan {
    uint16_t value;
    size_t mask;
    int access; // -1: the `out` of run()
    StoreOp store;
    bool each_row; // one element a row
    bool direct; // already written by its step
    bool stream;
    int64_t size; // bytes of an element
  };

  struct Reduce {
    uint16_t value;
    size_t mask;
    int slot;
    ReduceOp op;
  };

  // Where a register lies.
  struct Place {
    enum class Part : uint8_t { Vector, Uniform, Constant, Slot };
    uint16_t reg;
    Part part;
    size_t at; // Vector, Uniform: bytes into that part; else the number
  };

  struct PassPlan {
    size_t registers = 0;
    std::vector<Place> places;
    std::vector<Step> once;
    std::vector<Step> block;
    std::vector<Reduce> reductions;
    std::vector<StorePlan> stores;
    bool blocks = false; // whether anything is done block by block
    int64_t block_length = 0;
    size_t uniform_bytes = 0;
  };

  struct alignas(64) Uniform {
    std::byte bytes[8 * kUniformLanes];
  };

  struct Running; // what one run() knows

  void run_pass(const PassPlan& pass, Running& now) const noexcept;
  void run_block(const PassPlan& pass, Running& now) const noexcept;
  void run_step(const Step& step, Running& now) const noexcept;
  void pick(const Step& step, Running& now) const noexcept;
  void store_block(const StorePlan& store, Running& now) const noexcept;

  int64_t rows_ = 0;
  int64_t width_ = 0;
  bool streams_ = false;
  int slots_ = 0;
  std::vector<PassPlan> passes_;
  std::vector<Access> accesses_;
  std::vector<Uniform> constants_;
};

} // namespace zmlx::backend::cpu
