// Random programs of the language: parsed, run on this machine's CPU and
// differentiated, each against an interpreter of its own.
//
//   formula_fuzz --seed 1 --count 10000 --shard 0/2
//   formula_fuzz --seed 1 --only 4711        what a failure says to repeat it

#include <cstdio>
#include <exception>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tests/fuzz/check.h"
#include "zmlx/op/primitive.h"

namespace zmlx::fuzz {
namespace {

struct Options {
  uint64_t seed = 1;
  int count = 10000;
  int only = -1;
  std::string shard = "0/1";
};

/// Which programs this process takes: `part` of every `parts`.
struct Shard {
  int part = 0;
  int parts = 1;
};

Shard shard_of(const std::string& text) {
  Shard shard;
  if (std::sscanf(text.c_str(), "%d/%d", &shard.part, &shard.parts) != 2 ||
      shard.parts < 1 || shard.part < 0 || shard.part >= shard.parts) {
    throw CLI::ValidationError("--shard", "expected i/n with 0 <= i < n");
  }
  return shard;
}

std::optional<std::string>
failure(const Program& program, const Options& options, Tally& tally) {
  try {
    return difference(program, options.seed, tally);
  } catch (const std::exception& error) {
    return fmt::format("threw: {}", error.what());
  }
}

/// Whether the program is as it must be; says what is not.
bool passes(int number, const Options& options, Tally& tally) {
  const Program program = draw(options.seed, number);
  if (options.only >= 0) {
    fmt::print("{}\n", program.to_string());
  }
  const auto found = failure(program, options, tally);
  if (found) {
    fmt::print(
        "FAILED --seed {} --only {}\n{}{}\n\n",
        options.seed,
        number,
        program.to_string(),
        *found);
    std::fflush(stdout);
  }
  return !found;
}

void report(const Tally& tally) {
  fmt::print(
      "{} programs, {} read back from their text\n"
      "values: {} elements, {:.2f} % with one answer\n"
      "gradients: of {} programs, {} elements, {:.2f} % with one answer\n",
      tally.programs,
      tally.parsed,
      tally.values.elements,
      100 * tally.values.share(),
      tally.derived,
      tally.gradients.elements,
      100 * tally.gradients.share());
  fmt::print(
      "derivations: {} elements beside MLX's, {:.2f} % with one answer\n",
      tally.derivations.elements,
      100 * tally.derivations.share());
  for (const auto& [why, count] : tally.underived) {
    fmt::print("no gradient as a kernel in {}: {}\n", count, why);
  }
  for (const auto& fallback : op::fallbacks()) {
    fmt::print(
        "{} x {} as MLX operations: {}\n",
        fallback.count,
        fallback.kernel,
        fallback.reason);
  }
}

/// Most places must have one answer, or little was tested.
bool says_enough(const Tally& tally) {
  constexpr double kLeastShare = 0.9;
  return tally.values.share() >= kLeastShare &&
      tally.gradients.share() >= kLeastShare &&
      tally.derivations.share() >= kLeastShare;
}

int run(const Options& options) {
  constexpr int kMostFailures = 8;
  mx::set_default_device(mx::Device::cpu);
  Tally tally;
  if (options.only >= 0) {
    const bool good = passes(options.only, options, tally);
    report(tally);
    return good ? 0 : 1;
  }
  const Shard shard = shard_of(options.shard);
  int failures = 0;
  for (int i = shard.part; i < options.count && failures < kMostFailures;
       i += shard.parts) {
    failures += !passes(i, options, tally);
  }
  report(tally);
  if (!says_enough(tally)) {
    fmt::print("FAILED: too few places have one answer\n");
    return 1;
  }
  return failures > 0 ? 1 : 0;
}

} // namespace
} // namespace zmlx::fuzz

int main(int argc, char** argv) {
  zmlx::fuzz::Options options;
  CLI::App app("Random programs of the formula language");
  app.add_option("--seed", options.seed, "of the programs");
  app.add_option("--count", options.count, "how many programs");
  app.add_option("--only", options.only, "this program alone");
  app.add_option("--shard", options.shard, "i/n: every n-th program from i");
  try {
    app.parse(argc, argv);
    return zmlx::fuzz::run(options);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
}
