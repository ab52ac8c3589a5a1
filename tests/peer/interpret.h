#pragma once

#include "tests/peer/passes.h"

/// Runs a program plainly: one row and one place after the other.
namespace zmlx::test_peer {

/// Nothing when the program can be run, else the reason. To have something that
/// it refuses, the peer takes no running sums in reverse and no more than
/// kMostTop of a row.
std::optional<std::string> why_unsupported(const lang::Program& program);
inline constexpr int kMostTop = 64;

/// Computes the outputs; gives the first index that lies outside its array.
/// InternalError where the arrays do not fit the program.
std::optional<backend::Fault> interpret(
    const lang::Program& program,
    std::vector<Array> inputs,
    std::vector<Array> outputs);

// The stages.
void run_rows(Bound& bound);
void run_topk(Bound& bound);
void run_product(Bound& bound);
void run_attention(Bound& bound);

} // namespace zmlx::test_peer
