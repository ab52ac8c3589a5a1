#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "zmlx/backend/cpu/buffers.h"
#include "zmlx/backend/cpu/cpu.h"
#include "zmlx/backend/cpu/pool.h"
#include "zmlx/base/errors.h"
#include "zmlx/base/text.h"
#include "zmlx/lang/lower.h"
#include "zmlx/measure/bandwidth_loops.h"
#include "zmlx/measure/timer.h"

/// Kernels of the CPU beside the memory's own rate, measured in the same
/// process on memory of the same kind and the same threads.
namespace zmlx::benchmarks {

struct Release {
  void operator()(void* memory) const {
    backend::cpu::release(memory);
  }
};
using Memory = std::unique_ptr<void, Release>;

inline Memory allocate(int64_t bytes) {
  return Memory(backend::cpu::allocate(static_cast<size_t>(bytes)));
}

/// `run(first, count)` on all threads, for parts of n floats that the loops of
/// measure/bandwidth_loops.h take.
template <typename Run>
void over_parts(int64_t n, Run run) {
  backend::cpu::Pool::shared().run([&](int part, int parts) {
    const auto block = static_cast<int64_t>(measure::bandwidth_block);
    const int64_t begin = n / block * part / parts * block;
    const int64_t end = n / block * (part + 1) / parts * block;
    run(begin, static_cast<size_t>(end - begin));
  });
}

/// Two arrays of n floats read, one written past the caches.
inline void run_triad(float* out, const float* a, const float* b, int64_t n) {
  over_parts(n, [&](int64_t at, size_t count) {
    measure::triad(out + at, a + at, b + at, count);
  });
}

/// The program of a body. InternalError, naming the case, where there is none.
inline lang::Program lowered(
    const std::string& name,
    const lang::Body& body,
    const std::vector<lang::Type>& types) {
  std::string why;
  auto program = lang::lower(body, types, &why);
  if (!program) {
    throw internal_error("{}: {}", name, why);
  }
  if (const auto reason = backend::cpu::instance().unsupported(*program)) {
    throw internal_error("{}: {}", name, *reason);
  }
  return std::move(*program);
}

inline std::unique_ptr<backend::cpu::Launch> launch_of(
    const lang::Program& program,
    std::span<const backend::View> inputs,
    std::span<const backend::View> outputs) {
  return backend::cpu::compile(program)->bind(inputs, outputs);
}

/// What was timed, and how many bytes it reads and writes, each once.
struct Rate {
  measure::Timing timing;
  double bytes = 0;

  double per_second() const {
    return bytes / timing.seconds.median;
  }
};

/// One that others are compared with: "triad".
struct Roof {
  std::string name;
  double per_second;
};

/// The rate as a JSON object.
inline std::string json_of(const Rate& rate, const std::vector<Roof>& roofs) {
  std::string shares;
  for (const Roof& roof : roofs) {
    shares += fmt::format(
        ", \"of_{}\": {}", roof.name, rate.per_second() / roof.per_second);
  }
  return fmt::format(
      "{{\"kernel\": \"{}\", \"seconds\": {}, \"spread\": {}, "
      "\"bytes_per_second\": {}{}}}",
      rate.timing.name,
      rate.timing.seconds.median,
      rate.timing.seconds.spread(),
      rate.per_second(),
      shares);
}

/// All of them as a table.
inline Table table_of(
    const std::vector<Rate>& rates,
    const std::vector<Roof>& roofs) {
  std::vector<Table::Column> columns = {
      {"kernel"}, {"time", Table::Align::right}, {"rate", Table::Align::right}};
  for (const Roof& roof : roofs) {
    columns.push_back({"of " + roof.name, Table::Align::right});
  }
  Table table(columns);
  for (const Rate& rate : rates) {
    std::vector<std::string> row = {
        rate.timing.name,
        format_seconds(rate.timing.seconds.median),
        format_rate(rate.per_second())};
    for (const Roof& roof : roofs) {
      row.push_back(
          fmt::format("{:.0f} %", 100 * rate.per_second() / roof.per_second));
    }
    table.add_row(row);
  }
  return table;
}

/// The threads and the instructions that were measured: "2 threads, AVX3".
inline std::string conditions() {
  return fmt::format(
      "{} threads, {}",
      backend::cpu::Pool::shared().threads(),
      backend::cpu::simd_name());
}

} // namespace zmlx::benchmarks
