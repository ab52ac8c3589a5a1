// Speed of element-wise and row kernels on the CPU beside the memory's own
// rate: a triad, interleaved.
//
//   bench_elementwise [--json] [--millions N] [--rounds N]
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "memory_rate.h"
#include "options.h"
#include "zmlx/lang/functions.h"

namespace {

using namespace zmlx;
using namespace zmlx::benchmarks;
using backend::View;
using lang::Expr;
using lang::Type;

constexpr int64_t kWidth = 4096;

struct Settings {
  bool json = false;
  int64_t millions = 16;
  int64_t rounds = 15;
};

class Floats {
 public:
  explicit Floats(int64_t n) : memory_(allocate(n * sizeof(float))) {
    for (int64_t i = 0; i < n; ++i) {
      data()[i] = static_cast<float>(i % 1000) / 100 - 5;
    }
  }
  float* data() const {
    return static_cast<float*>(memory_.get());
  }

 private:
  Memory memory_;
};

struct Bench {
  std::string name;
  int arrays; // read or written
  std::unique_ptr<backend::cpu::Launch> launch;
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
  return {
      name,
      static_cast<int>(inputs.size()) + 1,
      launch_of(lowered(name, body, types), inputs, std::span(&output, 1))};
}

std::vector<Bench> make_benches(
    const View& a,
    const View& b,
    const View& weight,
    const View& out) {
  const Expr x = lang::input(0), y = lang::input(1);
  std::vector<Bench> benches;
  benches.push_back(make("silu(a) * b", lang::silu(x) * y, {a, b}, out));
  benches.push_back(make("a + b", x + y, {a, b}, out));
  benches.push_back(make("gelu(a)", lang::gelu(x), {a}, out));
  benches.push_back(make("softmax(a)", lang::softmax(x), {a}, out));
  benches.push_back(
      make("rms_norm(a)", lang::rms_norm(x, y, Expr(1e-5)), {a, weight}, out));
  benches.back().arrays = 2; // the weight stays in the caches
  return benches;
}

void report(bool json, const std::vector<Rate>& rates, int64_t n) {
  const std::vector<Roof> roofs = {{"triad", rates[0].per_second()}};
  if (!json) {
    fmt::print(
        "{} float32, {}\n\n{}",
        format_count(n),
        conditions(),
        table_of(rates, roofs).to_string());
    return;
  }
  std::vector<std::string> kernels;
  for (const Rate& rate : rates) {
    kernels.push_back(json_of(rate, roofs));
  }
  fmt::print(
      "{{\"simd\": \"{}\", \"threads\": {}, \"elements\": {}, "
      "\"kernels\": [{}]}}\n",
      backend::cpu::simd_name(),
      backend::cpu::Pool::shared().threads(),
      n,
      fmt::join(kernels, ", "));
}

void run(const Settings& settings) {
  const int64_t n = settings.millions << 20;
  const Floats a(n), b(n), out(n);
  const auto view = [&](const Floats& x) {
    return View{x.data(), Type::F32, {n / kWidth, kWidth}, {kWidth, 1}};
  };
  const View weight{a.data(), Type::F32, {kWidth}, {1}};
  const auto benches = make_benches(view(a), view(b), weight, view(out));

  std::vector<measure::Candidate> candidates = {
      {"triad", [&] { run_triad(out.data(), a.data(), b.data(), n); }}};
  std::vector<int> arrays = {3};
  for (const Bench& bench : benches) {
    candidates.push_back(
        {bench.name, [&bench] { backend::cpu::run(*bench.launch); }});
    arrays.push_back(bench.arrays);
  }
  measure::TimerOptions timer;
  timer.rounds = static_cast<int>(settings.rounds);
  const auto timings = measure::time_interleaved(candidates, timer);
  std::vector<Rate> rates;
  for (size_t i = 0; i < timings.size(); ++i) {
    rates.push_back({timings[i], arrays[i] * 4 * static_cast<double>(n)});
  }
  report(settings.json, rates, n);
}

} // namespace

int main(int argc, char** argv) {
  return exit_code_of([&] {
    Settings settings;
    parse(
        "bench_elementwise",
        {{"--json", &settings.json},
         {"--millions", &settings.millions, "N"},
         {"--rounds", &settings.rounds, "N"}},
        argc,
        argv);
    run(settings);
  });
}
