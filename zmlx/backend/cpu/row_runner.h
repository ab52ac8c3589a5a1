#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "zmlx/backend/cpu/launch.h"

namespace zmlx::backend::cpu {

class BoundPasses;

/// The row of a Program bound to memory: what Stage::Map and Stage::Row run,
/// and what the product runs as its load_x.
///
/// `shape` is the space of places, its last axis the row: (rows..., D); a
/// 0-d shape is (1). `inputs` are those of the Program, by number, and
/// broadcast to `shape` as Program::roles says (an input that is read through
/// Pick has an own last axis; what lies before it broadcasts to the rows).
/// `outputs` likewise by number: an output has `shape`, or where its value is
/// uniform one element a row, with or without a last axis of 1.
///
/// run() may be called by any number of threads at once on different rows. It
/// does not allocate (the first call of a thread makes the thread's scratch,
/// which all runners share, so no runner may run inside another). Results do
/// not depend on the thread.
class ZMLX_API RowRunner {
 public:
  /// InternalError where program, views and shape do not fit.
  RowRunner(
      const lang::Program& program,
      std::span<const View> inputs,
      std::span<const View> outputs,
      const lang::Shape& shape);
  ~RowRunner();
  RowRunner(RowRunner&&) noexcept;
  RowRunner& operator=(RowRunner&&) noexcept;

  int64_t rows() const;
  int64_t width() const; // D

  /// All passes of one row. The store of output -1 goes to out[0 .. D), as
  /// float32; `out` may be null where the program has none.
  void run(int64_t row, float* out = nullptr) const noexcept;

  std::optional<Fault> fault() const; // as Launch::fault

 private:
  std::unique_ptr<BoundPasses> passes_;
};

/// The store of a product's Program bound to memory: one Pass over the places
/// (..., M) of its outputs. As RowRunner, except that Slot `number` t is not
/// uniform: it is accumulator t at the place.
///
/// Only the stores into outputs whose last axis is M = shape.back() are run,
/// and the code that they need: a program whose outputs differ in M has one
/// StoreRunner for each M.
class ZMLX_API StoreRunner {
 public:
  StoreRunner(
      const lang::Program& program,
      std::span<const View> inputs,
      std::span<const View> outputs,
      const lang::Shape& shape);
  ~StoreRunner();
  StoreRunner(StoreRunner&&) noexcept;
  StoreRunner& operator=(StoreRunner&&) noexcept;

  /// Places begin .. end of a row. accumulators[t] points to the value at place
  /// `begin`; accumulators that the stores do not read may be null.
  void run(
      int64_t row,
      int64_t begin,
      int64_t end,
      const float* const* accumulators) const noexcept;

  std::optional<Fault> fault() const; // as Launch::fault

 private:
  std::unique_ptr<BoundPasses> passes_;
};

} // namespace zmlx::backend::cpu
