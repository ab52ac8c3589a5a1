// How long a formula never seen before takes until its first result is there:
// parse, lower, bind and run on 1000 numbers. No compiler runs.
//
//   bench_first_call [rounds]
#include <chrono>
#include <cstdlib>

#include <fmt/format.h>

#include "zmlx/base/statistics.h"
#include "zmlx/base/text.h"
#include "zmlx/op/elementwise.h"

int main(int argc, char** argv) {
  namespace mx = mlx::core;
  const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 50;
  auto g = mx::random::normal({1000}), u = mx::random::normal({1000});
  mx::eval(g, u);
  std::vector<double> seconds;
  for (int i = 0; i < rounds; ++i) {
    // The numbers make each formula another one.
    const auto text = fmt::format(
        "let s = sigmoid(g * {}.5); s * g * u + tanh(u) * {}.25 + erf(g - u)",
        i + 1,
        i + 2);
    const auto start = std::chrono::steady_clock::now();
    auto y = zmlx::elementwise(text, {.inputs = {"g", "u"}})(g, u);
    y.eval();
    const std::chrono::duration<double> took =
        std::chrono::steady_clock::now() - start;
    seconds.push_back(took.count());
  }
  const auto later = zmlx::summarize(seconds);
  fmt::print(
      "first call of the process {}; of a new formula: median {}, worst {} ({} "
      "formulas)\n",
      zmlx::format_seconds(seconds[0]),
      zmlx::format_seconds(later.median),
      zmlx::format_seconds(later.max),
      rounds);
}
