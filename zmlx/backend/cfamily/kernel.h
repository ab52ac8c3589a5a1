#pragma once

#include <string>
#include <vector>

#include "zmlx/backend/cfamily/dialect.h"
#include "zmlx/backend/cfamily/layout.h"
#include "zmlx/lang/program.h"

/// Whole kernels as text.
namespace zmlx::backend::cfamily {

/// How threads share the work.
struct Threads {
  int block = 256; // threads that share memory and can wait for each other
  /// Threads that work on one row: the block, or a power of 2 up to 32. Maps
  /// have none.
  int team = 0;
  int steps = 1; // vectors that a thread asks for at once
  /// Rows: a thread keeps what it has read of its row, `steps` vectors of each
  /// input, for the passes that follow.
  bool kept = false;

  auto operator<=>(const Threads&) const = default;
};

/// An argument of a kernel, in the order of its parameters.
struct Parameter {
  enum Kind : uint8_t {
    Data, // the address of an array
    At, // View::at, and what it counts in
    AtStride,
    Stride, // along axis `axis` of rows
    Step, // along the row
    Length, // OperandPlace::length
    OwnExtent, // of axis `axis` of a table's rows
    OwnStride,
    Extent, // of axis `axis` of an input as it was given
    RowExtent, // of axis `axis` of rows
    Rows,
    Width,
    Fault, // the address of a FaultCell
    Parts, // of the sums of an output
    Names, // of rows
    Groups,
    Members,
    Stripes,
    Turns, // of a stripe: members, divided up
    Count, // of elements of an output that is a sum
  };
  Kind kind;
  bool output = false;
  int number = 0;
  int axis = 0;

  auto operator<=>(const Parameter&) const = default;
};

/// Where text records an index outside its array: the first to set `set` says
/// the rest.
struct FaultCell {
  int32_t set;
  int32_t number;
  int64_t index;
  int64_t length;
  int32_t rows;
  int32_t output;
};

struct KernelText {
  std::string name; // of the kernel in the text
  std::string source;
  std::vector<Parameter> parameters;
  /// Rows, or vectors of places, of one block.
  int64_t work_of_block = 1;
};

/// Nothing where text can be written for the program, else why not.
std::optional<std::string> unsupported(const lang::Program& program);

/// For a program of which is_flat() is true: threads count through all places.
KernelText map_text(
    const lang::Program& program,
    const Layout& layout,
    const Threads& threads,
    const Dialect& dialect);

/// A team of threads a row.
KernelText row_text(
    const lang::Program& program,
    const Layout& layout,
    const Threads& threads,
    const Dialect& dialect);

/// The elements of an output from the parts of its sums: one thread an element.
KernelText finish_text(
    const lang::Program& program,
    int output,
    bool wide,
    const Threads& threads,
    const Dialect& dialect);

/// The argument of a parameter of this launch: an address or a number of 64
/// bits, of which text that is not Layout::wide takes the lower half.
int64_t argument(const Parameter& parameter, const Bound& bound, Address fault);

/// Whether the parameter is an address, which always has 64 bits.
bool is_address(const Parameter& parameter);

} // namespace zmlx::backend::cfamily
