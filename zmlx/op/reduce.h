#pragma once

#include <string>

#include "zmlx/op/op.h"

namespace zmlx::op {

/// A loop over the last axis in C's words: acc = init; for each element v:
/// acc = update; the result is finalize.
struct Reduce {
  /// What changes no result: 0 for sums, 1 for products, -inf for max, inf for
  /// min. Each partial result begins with it, however many there are.
  std::string init;
  std::string update; // of acc and v
  std::string finalize = "acc"; // of acc (or s), the result of the loop
  /// How two partial results a and b join: derived from `update`, and checked
  /// against it where it is given.
  std::string reduce = "";
  std::string name = ""; // in messages and reports
};

/// One value per row, (..., D) -> (...), as a kernel from text (lang/parse.h);
/// D is the length of the row in each part.
///
///   auto total = zmlx::reduce({.init = "0", .update = "acc + v"});
///   auto rms = zmlx::reduce({.init = "0",
///                            .update = "acc + v * v",
///                            .finalize = "sqrt(acc / D)"});
///
/// The loop is no loop: its update must join acc with a function of v by +, *,
/// max or min (also written as v > acc ? v : acc), and so becomes a reduction,
/// in the order and with the gradient of sum, prod, max_of and min_of. NaN
/// stays in max and min. UserError, naming the part, where that cannot be.
ZMLX_API BoundOp reduce(const Reduce& parts);

/// A reduction of the row, as Reduce says, whose parts have numbered names.
struct ReducePass {
  std::string init;
  std::string update;
  std::string reduce = "";
};

struct MapReduce {
  ReducePass pass1; // of x and acc1; gives s1
  ReducePass pass2; // of x, s1 and acc2; gives s2
  std::string write; // of x, s1 and s2: the value at each place
  std::string name = "";
};

/// Two reductions of the row, then a value per place: (..., D) -> (..., D).
///
///   auto softmax = zmlx::map_reduce({
///       .pass1 = {.init = "-inf", .update = "max(acc1, x)"},
///       .pass2 = {.init = "0", .update = "acc2 + exp(x - s1)"},
///       .write = "exp(x - s1) / s2"});
///
/// D is the length of the row in each part. Else as reduce().
ZMLX_API BoundOp map_reduce(const MapReduce& parts);

} // namespace zmlx::op

namespace zmlx {
using op::map_reduce;
using op::reduce;
} // namespace zmlx
