#include "zmlx/backend/cuda/schedule.h"

#include <algorithm>
#include <bit>

namespace zmlx::backend::cuda {
namespace {

using lang::Op;

// Enough for HBM3e when 2,048 threads of a multiprocessor ask for them.
constexpr int64_t kBytesAhead = 64;
constexpr int kMapBlock = 256;
constexpr int kThreads = 1024; // of a multiprocessor, that sums are dealt to
constexpr int kRowBlock = 128; // where a warp or less takes a row
// 32-bit registers of a thread that may hold what it has read of its row.
constexpr int64_t kKeptRegisters = 64;
constexpr int64_t kKeptRegistersOfLargeBlock = 24;

int64_t divided_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

bool scans(const lang::Program& program) {
  for (const auto& pass : program.row.passes) {
    for (const auto& i : pass.code) {
      if (i.op == Op::CumSum) {
        return true;
      }
    }
  }
  return false;
}

/// Bytes that a thread reads for one vector of places.
int64_t bytes_of_vector(
    const lang::Program& program,
    const cfamily::Layout& layout) {
  int64_t bytes = 0;
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    if (layout.inputs[i].step != cfamily::Step::Same) {
      bytes += layout.places *
          static_cast<int64_t>(lang::size_of(program.inputs[i]));
    }
  }
  return std::max<int64_t>(bytes, 4);
}

int64_t power_of_2(int64_t least) {
  return static_cast<int64_t>(
      std::bit_ceil(static_cast<uint64_t>(std::max<int64_t>(least, 1))));
}

cfamily::Threads
map_threads(int64_t vectors, int64_t bytes, const Device& device) {
  const int64_t ahead = std::clamp<int64_t>(kBytesAhead / bytes, 1, 4);
  const int64_t spread =
      vectors / (int64_t{kMapBlock} * 4 * device.multiprocessors);
  return {
      .block = kMapBlock,
      .steps = static_cast<int>(std::bit_floor(
          static_cast<uint64_t>(std::clamp<int64_t>(spread, 1, ahead))))};
}

} // namespace

int most_places(const lang::Program& program) {
  for (const auto& pass : program.row.passes) {
    for (const auto& i : pass.code) {
      if (i.op == Op::CumSum &&
          (i.order == lang::ScanOrder::Reverse ||
           i.order == lang::ScanOrder::ReverseExclusive)) {
        return 1;
      }
    }
  }
  return 8;
}

int64_t choose_stripes(
    const cfamily::Bound& bound,
    const cfamily::Threads& threads,
    const Device& device) {
  if (bound.layout.sums != cfamily::Sums::Groups) {
    return 1;
  }
  // As many threads as fit, but parts that are few beside the rows.
  const int64_t teams =
      int64_t{device.multiprocessors} * kThreads / threads.team;
  const int64_t most = std::max<int64_t>(bound.members / 4, 1);
  return std::clamp<int64_t>(
      teams / std::max<int64_t>(bound.groups, 1), 1, most);
}

cfamily::Threads choose_threads(
    const lang::Program& program,
    const cfamily::Bound& bound,
    const Device& device) {
  const auto& layout = bound.layout;
  const int64_t bytes = bytes_of_vector(program, layout);
  const int64_t vectors = divided_up(bound.width, layout.places);
  if (cfamily::is_flat(program)) {
    return map_threads(bound.rows * vectors, bytes, device);
  }
  cfamily::Threads threads;
  const bool scan = scans(program);
  const bool warps = scan || layout.sums == cfamily::Sums::Named;
  const bool few = bound.rows < 2 * device.multiprocessors;
  if (vectors <= (few ? 64 : 128)) {
    threads.block = kRowBlock;
    threads.team = static_cast<int>(
        std::clamp<int64_t>(power_of_2(vectors), warps ? 32 : 1, 32));
  } else {
    threads.team = static_cast<int>(std::clamp<int64_t>(
        power_of_2(divided_up(vectors, few ? 1 : 4)), 64, 1024));
    threads.block = threads.team;
  }
  const int64_t steps = std::max<int64_t>(divided_up(vectors, threads.team), 1);
  const int64_t registers = steps * divided_up(bytes, 4);
  threads.kept = !scan &&
      registers <=
          (threads.team == 1024 ? kKeptRegistersOfLargeBlock : kKeptRegisters);
  threads.steps = static_cast<int>(
      threads.kept
          ? steps
          : std::min(steps, std::clamp<int64_t>(kBytesAhead / bytes, 1, 4)));
  return threads;
}

} // namespace zmlx::backend::cuda
