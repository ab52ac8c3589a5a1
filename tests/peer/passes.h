#pragma once

#include <map>
#include <optional>
#include <span>

#include "tests/peer/array.h"
#include "tests/peer/registers.h"
#include "zmlx/lang/program.h"

namespace zmlx::test_peer {

/// A program's arrays while it runs once.
struct Bound {
  const lang::Program& program;
  std::vector<Array> inputs, outputs;
  std::optional<backend::Fault> fault = {}; // the first that was met
};

/// The space of places of a map, a row or a top-k program.
lang::Shape space_of(const Bound& bound);

/// An output that is a sum: float64, or integers that wrap, row-major.
struct Sums {
  std::vector<double> real;
  std::vector<uint64_t> whole;
};

/// Runs passes over the rows of a space, an instruction at a time along the
/// row.
class PassRunner {
 public:
  /// The space is one row where it has no axes.
  PassRunner(Bound& bound, lang::Shape space);

  int64_t rows() const {
    return rows_;
  }
  int64_t width() const {
    return space_.back();
  }

  /// The passes of the program's row, one after the other, in `slots` of its
  /// own. Gives what is stored in output -1, where there is such a store.
  Register run_row(int64_t row);
  /// The program's store on one row of an output of a product: stores into
  /// outputs whose last axis is this row's, with accumulators for slots.
  void run_store(int64_t row, std::vector<Register> accumulators);
  /// Writes the outputs that are sums, after all rows.
  void finish();

 private:
  void run(
      const lang::Pass& pass,
      const std::vector<lang::Store>& stores,
      int64_t row,
      std::vector<Register>& slots);
  Register value_of(
      const lang::Instruction& i,
      const std::vector<Register>& values,
      bool given,
      int64_t row,
      const std::vector<Register>& slots);
  Register input_value(const lang::Instruction& i, int64_t row) const;
  Register
  pick(const lang::Instruction& i, const Register& at, bool given, int64_t row);
  Register take(const lang::Instruction& i, const Register& at, bool given);
  Register draw(const lang::Instruction& i, const Register& seed, int64_t row)
      const;
  void store(const lang::Store& store, const Register& value, int64_t row);
  void add(
      const lang::Store& store,
      const Register& value,
      int64_t row,
      std::optional<int64_t> target);
  std::optional<int64_t>
  target_of(const lang::Store& store, const Register& name, bool given);
  lang::Shape row_space() const;
  const Walk& walk(int input, bool meets) const;
  void record(const backend::Fault& fault);

  Bound& bound_;
  lang::Shape space_;
  int64_t rows_;
  std::map<int, Sums> sums_; // by output
  mutable std::map<std::pair<int, bool>, Walk> walks_;
  Register named_; // what was stored in output -1
};

} // namespace zmlx::test_peer
