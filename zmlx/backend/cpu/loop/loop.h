#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "zmlx/backend/cpu/loop/pick_windows.h"
#include "zmlx/base/fields.h"
#include "zmlx/lang/program.h"

/// Whether there is an assembler for what is compiled.
#if defined(__x86_64__) && defined(__unix__)
#define ZMLX_ASSEMBLES 1
#else
#define ZMLX_ASSEMBLES 0
#endif

namespace zmlx::backend::cpu {

/// One loop over places that is assembled for the machine it runs on: what its
/// values are made of stays in vector registers, nothing is stored between.
///
/// Loops read and write memories, which are pointers given by number when they
/// run. A value is of type F32, I32, U32 or Bool; a Bool in memory is int32.
struct Loop {
  struct Value {
    enum class Kind : uint8_t {
      Each, // the element of a memory at this place
      Once, // what a memory holds 16 times, as a uniform register does
      Number, // `instruction.value`
      Place, // I32: the number of this place, after the 16 of a memory
      Picked, // the element of a memory that the place's PickWindow gives
      Operation, // `instruction` on the values `in`
    };
    Kind kind;
    lang::Type type;
    lang::Type stored = lang::Type::F32; // Each, Picked: of the elements
    int memory = -1; // Each, Once, Place, Picked
    int windows = -1; // Picked: the memory of its windows
    PickShape picks{}; // Picked
    /// Number: value. Operation: op, type, from, rounded. The rest stays as it
    /// is by default, so that equal operations are equal instructions.
    lang::Instruction instruction{};
    std::array<int, 3> in{-1, -1, -1};

    auto fields() const {
      return std::tie(
          kind, type, stored, memory, windows, picks, instruction, in);
    }
  };

  /// The value at each place, rounded to `stored`. `past_caches`: the memory is
  /// aligned to 64 bytes and is not read soon.
  struct Store {
    int value;
    int memory;
    lang::Type stored;
    bool past_caches = false;

    auto fields() const {
      return std::tie(value, memory, stored, past_caches);
    }
  };

  /// A reduction of F32 values into a Partial.
  struct Reduction {
    lang::Op op; // Sum, MaxOf or MinOf
    int value;
    int memory;

    auto fields() const {
      return std::tie(op, value, memory);
    }
  };

  /// The value, F32, added to the float or the double at each place.
  struct Add {
    int value;
    int memory;
    bool floats = false;

    auto fields() const {
      return std::tie(value, memory, floats);
    }
  };

  /// Memory that will be read soon, fetched into L2 while the loop runs. What
  /// the loop itself reads the machine fetches well enough.
  struct Fetch {
    int memory;
    lang::Type stored;

    auto fields() const {
      return std::tie(memory, stored);
    }
  };

  std::vector<Value> values; // operands first
  std::vector<Store> stores;
  std::vector<Reduction> reductions;
  std::vector<Add> adds;
  std::vector<Fetch> fetches;
  int memories = 0;

  /// What makes loops equal.
  auto fields() const {
    return std::tie(values, stores, reductions, adds, fetches, memories);
  }
};
static_assert(lists_all_members<Loop>);
static_assert(lists_all_members<Loop::Value>);
static_assert(lists_all_members<Loop::Store>);
static_assert(lists_all_members<Loop::Reduction>);
static_assert(lists_all_members<Loop::Add>);
static_assert(lists_all_members<Loop::Fetch>);

/// What a reduction is when the loop ends: lanes that the caller joins, and
/// whether one of the values was NaN (of a maximum or minimum, whose lanes do
/// not hold it).
struct alignas(64) Partial {
  static constexpr int kLanes = 16;
  float lanes[kLanes];
  int32_t nan;
};

/// Machine code that lives as long as somebody has it.
class LoopCode {
 public:
  virtual ~LoopCode() = default;

  /// The number of places goes from 0 up; memories may be of any alignment.
  void run(void* const* memories, int64_t places) const {
    function_(const_cast<void**>(memories), places, 1, nullptr);
  }
  /// The same for at least one row, each memory of which is so many bytes after
  /// that of the row before: `memories` becomes that of the last. Only where
  /// the loop has no reductions.
  void run_rows(
      void** memories,
      int64_t places,
      int64_t rows,
      const int64_t* strides) const {
    function_(memories, places, rows, strides);
  }

 protected:
  using Function =
      void (*)(void** memories, int64_t, int64_t, const int64_t* strides);
  Function function_ = nullptr;
};

/// Whether this machine runs assembled loops: x86 with AVX-512, and a system
/// that lets memory be written and then executed.
bool assembles();
/// What is missing, as a sentence; nothing where the machine runs them.
std::optional<std::string> why_not_assembled();
/// Whether an operation may be part of one. Its operands have compute types
/// `from`.
bool assembles(const lang::Instruction& operation);
/// Whether memory of this type may be read and written by one.
bool assembles(lang::Type stored);

/// Whether the registers suffice for a loop: each reduction keeps one, and of
/// the values that are alive at the same time some may go to the stack.
bool fits(const Loop& loop);

/// The code of a loop, the same for equal loops. Any x86 machine may ask for
/// it, only those with AVX-512 may run it. Null where the system gives no
/// memory that may be executed; InternalError where the loop does not fit() or
/// the assembler fails.
std::shared_ptr<const LoopCode> assemble(const Loop& loop);

/// What a loop computes and its code, for people to read: the bytes of each
/// part of the loop after a line that says what the part does. InternalError as
/// assemble().
std::string listing(const Loop& loop);

} // namespace zmlx::backend::cpu
