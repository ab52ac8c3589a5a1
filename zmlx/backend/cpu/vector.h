#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "zmlx/backend/cpu/loop/loop.h"
#include "zmlx/lang/program.h"

namespace zmlx::backend::cpu {

/// Block operations: one instruction on a block of values that lies in L1.
/// Each find_* gives the best function for the machine, or null where there is
/// none; the functions neither allocate nor throw.
///
/// A register holds values of one compute type: float, double, int32_t (Bool
/// too, as 0 and 1), uint32_t, int64_t, uint64_t.

lang::Type register_type(lang::Type compute);

/// A uniform register is kUniformLanes copies of its value, so that a vector
/// may be loaded from it.
inline constexpr size_t kUniformLanes = 16;

/// What one operation may read.
inline constexpr size_t kMaxOperands = 3;

/// Element i of operand k is in[k][i & mask[k]]: mask ~0 for a vector, 0 for a
/// uniform register. `out` may be one of the operands, when the types are of
/// one size. Nothing beyond n elements is touched, except that a whole uniform
/// register is read.
struct BlockArgs {
  void* out;
  std::array<const void*, kMaxOperands> in;
  std::array<size_t, kMaxOperands> mask;
  size_t n;
  /// Asks for stores that pass the caches by; `out` is then 64-byte aligned.
  bool stream = false;
};
using BlockOp = void (*)(const BlockArgs&) noexcept;

/// The function of an instruction with operands.
BlockOp find_operation(const lang::Instruction& instruction);

/// Reads n stored elements, `stride` elements apart (1 where `contiguous`),
/// into a register of compute_type(stored).
using LoadOp =
    void (*)(void* out, const void* in, int64_t stride, size_t n) noexcept;
LoadOp find_load(lang::Type stored, bool contiguous);

/// Stores n values of a register, rounding floats to nearest even. `stream`
/// asks for stores that pass the caches by.
struct StoreArgs {
  void* out;
  int64_t stride;
  const void* in;
  size_t mask;
  size_t n;
  bool stream = false;
};
using StoreOp = void (*)(const StoreArgs&) noexcept;
StoreOp find_store(lang::Type from, lang::Type stored, bool contiguous);

/// A reduction under way. Which member holds it depends on operation and type.
struct Accumulator {
  double real = 0;
  uint64_t bits = 0; // integers, as two's complement
  int64_t at = -1; // Arg*: the place of the best so far
};

struct ReduceArgs {
  Accumulator* into;
  const void* in;
  size_t mask;
  size_t n;
  int64_t first; // the place of element 0 in the row
};
struct ReduceOp {
  void (*start)(Accumulator&) noexcept = nullptr;
  void (*add)(const ReduceArgs&) noexcept = nullptr;
  /// Writes a uniform register: of the operand's type, U32 for Arg*.
  void (*finish)(const Accumulator&, void* out) noexcept = nullptr;
  /// Takes in what a loop gave; of the float32 reductions that loops have.
  void (*join)(Accumulator&, const Partial&) noexcept = nullptr;
};
ReduceOp find_reduction(lang::Op op, lang::Type type);

/// sums[i] += value i of a register of `from`: into doubles, integers into
/// uint64_t.
using AccumulateOp =
    void (*)(void* sums, const void* in, size_t mask, size_t n) noexcept;
AccumulateOp find_accumulate(lang::Type from);

/// A block of a running sum (lang::ScanOrder; blocks of reverse ones come from
/// the end). `carry`, 8 bytes that begin as zeros, goes from block to block:
/// a double, integers in their own type. `out` may be `in`.
struct ScanArgs {
  void* out;
  const void* in;
  size_t mask;
  size_t n;
  void* carry;
};
using ScanOp = void (*)(const ScanArgs&) noexcept;
ScanOp find_scan(lang::ScanOrder order, lang::Type type);

/// lang::random() for places first, first + 1, ... of the space.
void fill_random(uint32_t* out, uint64_t seed, uint64_t first, size_t n);

// The vectorised part, null where it has nothing: find_* ask it first.
BlockOp vector_operation( // for operands of a register type
    const lang::Instruction& instruction,
    lang::Type operand);
LoadOp vector_load(lang::Type stored); // stride 1
StoreOp vector_store(lang::Type stored); // from float, stride 1
using AddOp = void (*)(const ReduceArgs&) noexcept;
AddOp vector_reduction(lang::Op op); // of float

} // namespace zmlx::backend::cpu
