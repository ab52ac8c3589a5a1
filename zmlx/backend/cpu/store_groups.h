#pragma once

#include <vector>

#include "zmlx/lang/program.h"

namespace zmlx::backend::cpu {

/// Stores that add to the rows that one register names. They visit the rows of
/// the space in the order of the rows they add to, so each such group is a
/// program of its own.
struct RowSumGroup {
  lang::Program sums; // the program with these stores alone
  lang::Program names; // gives the register as kNamedOutput
  bool given = false; // the register depends on an input
};

/// The program with the stores that are not Into::Row alone; no passes where
/// there are none.
lang::Program without_row_sums(const lang::Program& program);

std::vector<RowSumGroup> row_sum_groups(const lang::Program& program);

/// The registers that the stores and the reductions of a pass need.
std::vector<bool> needed_registers(const lang::Pass& pass);

/// Whether the places of a row may be run apart from each other.
bool places_apart(const lang::Program& program);

} // namespace zmlx::backend::cpu
