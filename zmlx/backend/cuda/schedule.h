#pragma once

#include "zmlx/backend/cfamily/kernel.h"

namespace zmlx::backend::cuda {

/// What launches of a device may count on.
struct Device {
  int multiprocessors = 132;
  int architecture = 90; // 10 * major + minor of the compute capability
};

/// How a program's places are shared among threads: a guess from sizes alone.
cfamily::Threads choose_threads(
    const lang::Program& program,
    const cfamily::Bound& bound,
    const Device& device);

/// How many parts the rows of a group are dealt out to (cfamily::Bound).
int64_t choose_stripes(
    const cfamily::Bound& bound,
    const cfamily::Threads& threads,
    const Device& device);

/// Places of one vector at most: 16 bytes of 16-bit numbers; one where a
/// running sum goes backwards through rows of any length.
int most_places(const lang::Program& program);

} // namespace zmlx::backend::cuda
