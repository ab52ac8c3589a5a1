#pragma once

#include <functional>
#include <vector>

#include "zmlx/lang/program.h"

namespace zmlx::backend {

/// Output of a store that is no array: which row of the output a row of the
/// space adds to (RowSumGroup::names).
inline constexpr int kNamedOutput = -2;

/// Stores (Into::Row) that add to the output rows that one register names. A
/// peer may want to run the rows of the space in the order of the output rows
/// that they add to, another order for each register; so each group is a
/// program of its own.
struct RowSumGroup {
  lang::Program sums; // the program with these stores alone
  lang::Program names; // stores the register into kNamedOutput
  bool given = false; // the register depends on an input
};

/// The program without its Into::Row stores and what only they need; it has no
/// passes where nothing else is stored.
lang::Program without_row_sums(const lang::Program& program);

/// The program with some of its stores, by output, and what they need.
lang::Program with_stores(
    const lang::Program& program,
    const std::function<bool(const lang::Store&)>& wanted);

/// One group for each register that names rows.
std::vector<RowSumGroup> row_sum_groups(const lang::Program& program);

/// For each register of a pass, whether a store or a reduction needs it.
std::vector<bool> needed_registers(const lang::Pass& pass);

/// Whether the places of a row may be run in any order and on any thread: no
/// reduction, no running sum, and no store of one value per row.
bool places_apart(const lang::Program& program);

} // namespace zmlx::backend
