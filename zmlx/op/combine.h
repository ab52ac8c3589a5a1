#pragma once

#include <string>
#include <vector>

#include "zmlx/lang/parse.h"

/// What reduce() and map_reduce() share: from C-like parts of a loop to a
/// reduction of the language.
namespace zmlx::op {

/// A loop over a row as text: acc = init; for each element: acc = update.
struct Loop {
  std::string who; // "reduce 'total'", in messages
  std::string init;
  std::string update;
  std::string reduce; // how two results over `a` and `b` join; may be empty
  std::string accumulator; // its name in `update`
  std::string element; // name of the element in `update`
  /// Values beside them that `init` and `update` may name.
  std::vector<lang::NamedValue> names;
};

/// The loop as sum, prod, max_of or min_of of a function of input 0. UserError,
/// naming the part, where the text is no formula, or the update does not join
/// the accumulator with a function of the element (acc + f, acc - f, acc * f,
/// acc / f, max(acc, f), min(acc, f), f > acc ? f : acc and its like), `reduce`
/// joins otherwise, or `init` is not the neutral element: 0, 1, -inf or inf,
/// for which FLT_MAX will do.
lang::Expr reduction_of(const Loop& loop);

/// The only value of a formula over these inputs and names.
lang::Expr value_of(
    const std::string& text,
    const std::string& who,
    const std::vector<std::string>& inputs,
    std::vector<lang::NamedValue> names);

/// "reduce 'total'", or "reduce" without a name.
std::string who_is(const std::string& door, const std::string& name);

} // namespace zmlx::op
