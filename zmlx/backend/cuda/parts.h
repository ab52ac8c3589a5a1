#pragma once

#include <vector>

#include "zmlx/backend/cfamily/layout.h"

namespace zmlx::backend::cuda {

/// A program as kernels that run one after the other.
struct Part {
  lang::Program program;
  cfamily::Sums sums = cfamily::Sums::None;
  int named = -1; // Names, Named: an output that gives the groups
};

/// Sums along different axes become parts of their own, and so do rows that are
/// named, after the part that names them. What is no sum is in the first part.
std::vector<Part> parts_of(
    const lang::Program& program,
    std::span<const View> inputs,
    std::span<const View> outputs);

/// Whether a program has stores that may be sums.
bool has_sums(const lang::Program& program);

} // namespace zmlx::backend::cuda
