// Speed of element-wise and row kernels on the CPU beside the memory's own
// rate: a triad (two arrays read, one written past the caches) measured in the
// same process, interleaved, on memory of the same kind and the same threads.
//
//   bench_elementwise [--json] [--millions N] [--rounds N]
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "zmlx/backend/cpu/buffers.h"
#include "zmlx/backend/cpu/cpu.h"
#include "zmlx/backend/cpu/pool.h"
#include "zmlx/base/errors.h"
#include "zmlx/base/text.h"
#include "zmlx/lang/functions.h"
#include "zmlx/lang/lower.h"
#include "zmlx/measure/bandwidth_loops.h"
#include "zmlx/measure/timer.h"

namespace {

using namespace zmlx;
using backend::View;
using lang::Expr;
using lang::Type;

constexpr int64_t kWidth = 4096;

struct Options {
  bool json = false;
  int64_t millions = 16;
  int rounds = 15;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const bool has_value = i + 1 < argc && std::atoi(argv[i + 1]) > 0;
    if (flag == "--json") {
      options.json = true;
    } else if (flag == "--millions" && has_value) {
      options.millions = std::atoi(argv[++i]);
    } else if (flag == "--rounds" && has_value) {
      options.rounds = std::atoi(argv[++i]);
    } else {
      throw user_error(
          "bench_elementwise: unknown '{}'; expected --json, --millions N, "
          "--rounds N",
          flag);
    }
  }
  return options;
}

class Floats {
 public:
  explicit Floats(int64_t n)
      : data_(static_cast<float*>(
            backend::cpu::allocate(static_cast<size_t>(n) * sizeof(float)))) {
    for (int64_t i = 0; i < n; ++i) {
      data_[i] = static_cast<float>(i % 1000) / 100 - 5;
    }
  }
  ~Floats() {
    backend::cpu::release(data_);
  }
  Floats(const Floats&) = delete;
  float* data() const {
    return data_;
  }

 private:
  float* data_;
};

struct Bench {
  std::string name;
  int arrays; // read or written
  std::vector<std::unique_ptr<backend::Launch>> launches;
};

Bench make(
    const std::string& name,
    const Expr& value,
    const std::vector<View>& inputs,
    const View& output) {
  lang::Body body;
  std::vector<Type> types;
  for (size_t i = 0; i < inputs.size(); ++i) {
    body.inputs.push_back({std::string(1, static_cast<char>('a' + i))});
    types.push_back(inputs[i].type);
  }
  body.outputs.push_back({"out", value, -1, output.type});
  std::string why;
  const auto program = lang::lower(body, types, &why);
  if (!program) {
    throw internal_error("bench_elementwise: {}: {}", name, why);
  }
  Bench bench{name, static_cast<int>(inputs.size()) + 1, {}};
  bench.launches.push_back(backend::cpu::instance().compile(*program)->bind(
      inputs, std::span(&output, 1)));
  return bench;
}

void run_triad(float* out, const float* a, const float* b, int64_t n) {
  backend::cpu::Pool::shared().run([&](int part, int parts) {
    const auto block = static_cast<int64_t>(measure::bandwidth_block);
    const int64_t begin = n / block * part / parts * block;
    const int64_t end = n / block * (part + 1) / parts * block;
    measure::triad(
        out + begin, a + begin, b + begin, static_cast<size_t>(end - begin));
  });
}

void report(
    const Options& options,
    const std::vector<measure::Timing>& timings,
    const std::vector<int>& arrays,
    int64_t n) {
  const double triad =
      3 * 4 * static_cast<double>(n) / timings[0].seconds.median;
  Table table(
      {{"kernel"},
       {"time", Table::Align::right},
       {"rate", Table::Align::right},
       {"of triad", Table::Align::right}});
  std::string json;
  for (size_t i = 0; i < timings.size(); ++i) {
    const double seconds = timings[i].seconds.median;
    const double rate = arrays[i] * 4 * static_cast<double>(n) / seconds;
    table.add_row(
        {timings[i].name,
         format_seconds(seconds),
         format_rate(rate),
         fmt::format("{:.0f} %", 100 * rate / triad)});
    json += fmt::format(
        "{}{{\"kernel\": \"{}\", \"seconds\": {}, \"spread\": {}, "
        "\"bytes_per_second\": {}, \"of_triad\": {}}}",
        i ? ", " : "",
        timings[i].name,
        seconds,
        timings[i].seconds.spread(),
        rate,
        rate / triad);
  }
  if (options.json) {
    fmt::print(
        "{{\"simd\": \"{}\", \"threads\": {}, \"elements\": {}, "
        "\"kernels\": [{}]}}\n",
        backend::cpu::simd_name(),
        backend::cpu::Pool::shared().threads(),
        n,
        json);
    return;
  }
  fmt::print(
      "{} float32, {} threads, {}\n\n{}",
      format_count(n),
      backend::cpu::Pool::shared().threads(),
      backend::cpu::simd_name(),
      table.to_string());
}

void run(const Options& options) {
  const int64_t n = options.millions << 20;
  const int64_t rows = n / kWidth;
  const Floats a(n), b(n), out(n);
  const auto view = [&](const Floats& x) {
    return View{x.data(), Type::F32, {rows, kWidth}, {kWidth, 1}};
  };
  const View weight{a.data(), Type::F32, {kWidth}, {1}};
  const Expr x = lang::input(0), y = lang::input(1);

  std::vector<Bench> benches;
  benches.push_back(
      make("silu(a) * b", lang::silu(x) * y, {view(a), view(b)}, view(out)));
  benches.push_back(make("a + b", x + y, {view(a), view(b)}, view(out)));
  benches.push_back(make("gelu(a)", lang::gelu(x), {view(a)}, view(out)));
  benches.push_back(make("softmax(a)", lang::softmax(x), {view(a)}, view(out)));
  benches.push_back(make(
      "rms_norm(a)",
      lang::rms_norm(x, y, Expr(1e-5)),
      {view(a), weight},
      view(out)));
  benches.back().arrays = 2; // the weight stays in the caches

  std::vector<measure::Candidate> candidates;
  candidates.push_back(
      {"triad", [&] { run_triad(out.data(), a.data(), b.data(), n); }});
  std::vector<int> arrays = {3};
  for (const Bench& bench : benches) {
    candidates.push_back({bench.name, [&bench] {
                            backend::cpu::instance().run(bench.launches);
                          }});
    arrays.push_back(bench.arrays);
  }
  measure::TimerOptions timer;
  timer.rounds = options.rounds;
  report(options, measure::time_interleaved(candidates, timer), arrays, n);
}

} // namespace

int main(int argc, char** argv) {
  try {
    run(parse(argc, argv));
    return 0;
  } catch (const UserError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 3;
  }
}
