// What loops cost where memory costs nothing: machine cycles for each 16 places
// of programs whose rows stay in the first cache, on one thread. A cycle is the
// time of one of a chain of additions, measured in turn.
//
//   bench_loops [--rounds N] [--only TEXT] [--rows N] [--width N] [--json]
#include <string>
#include <vector>

#include <fmt/format.h>

#include "memory_rate.h"
#include "options.h"
#include "zmlx/backend/cpu/half.h"
#include "zmlx/backend/cpu/passes.h"
#include "zmlx/lang/functions.h"
#include "zmlx/lang/space.h"

namespace {

using namespace zmlx;
using namespace zmlx::benchmarks;
using backend::View;
using lang::Expr;
using lang::Type;

struct Settings {
  bool json = false;
  int64_t rounds = 31;
  std::string only;
  int64_t rows = 2;
  int64_t width = 1024;
};

struct Formula {
  std::string name;
  int inputs;
  Expr value;
  bool weights = false; // the second input is one row
};

std::vector<Formula> formulas() {
  const Expr a = lang::input(0), b = lang::input(1);
  return {
      {"a * b", 2, a * b},
      {"a + pick(a, i ^ 1)", 1, a + lang::pick(a, lang::index() ^ 1)},
      {"exp(a)", 1, lang::exp(a)},
      {"sigmoid(a)", 1, lang::sigmoid(a)},
      {"tanh(a)", 1, lang::tanh(a)},
      {"log(a * a + 1)", 1, lang::log(a * a + 1)},
      {"erf(a)", 1, lang::erf(a)},
      {"sin(a)", 1, lang::sin(a)},
      {"silu(a) * b", 2, lang::silu(a) * b},
      {"gelu(a)", 1, lang::gelu(a)},
      {"max(a)", 1, lang::max_of(a)},
      {"sum(a)", 1, lang::sum(a)},
      {"sum(exp(a))", 1, lang::sum(lang::exp(a))},
      {"sum(exp(a-1))", 1, lang::sum(lang::exp(a - 1))},
      {"exp(a)/sum(exp(a))", 1, lang::exp(a) / lang::sum(lang::exp(a))},
      {"logsumexp(a)", 1, lang::logsumexp(a)},
      {"softmax(a)", 1, lang::softmax(a)},
      {"rms_norm(a)", 2, lang::rms_norm(a, b, 1e-5), true},
      {"layer_norm(a)", 2, lang::layer_norm(a, b, b, 1e-5), true},
  };
}

/// A formula bound to memory that it fits in.
class Bench {
 public:
  Bench(const Formula& formula, Type type, const Settings& settings)
      : rows_(settings.rows), places_(settings.rows * settings.width) {
    lang::Body body;
    for (int i = 0; i < formula.inputs; ++i) {
      body.inputs.push_back({std::string(1, static_cast<char>('a' + i))});
      views_.push_back(
          view(type, formula.weights && i > 0 ? 1 : rows_, settings.width));
    }
    body.outputs.push_back({"out", formula.value, -1, type});
    const auto program =
        lowered(formula.name, body, std::vector<Type>(formula.inputs, type));
    View out = view(type, rows_, settings.width);
    const auto shapes = lang::infer_shapes(
        body, std::vector(formula.inputs, lang::Shape{rows_, settings.width}));
    if (shapes[0] != out.shape) { // one element per row
      out.shape = shapes[0];
      out.strides.resize(out.shape.size());
    }
    passes_ = std::make_unique<backend::cpu::BoundPasses>(
        program.row.passes,
        program.row.slots,
        backend::cpu::Binding{
            .inputs = views_,
            .outputs = std::span(&out, 1),
            .roles = program.roles,
            .space = {rows_, settings.width}});
  }

  void run(int times) const {
    for (int i = 0; i < times; ++i) {
      passes_->run_rows(0, rows_);
    }
  }
  double vectors() const {
    return static_cast<double>(places_) / 16;
  }

 private:
  View view(Type type, int64_t rows, int64_t width) {
    const auto size = static_cast<int64_t>(lang::size_of(type));
    memory_.push_back(allocate(rows * width * size));
    for (int64_t i = 0; i < rows * width; ++i) {
      const float x = static_cast<float>(i % 1000) / 200 - 2;
      void* data = memory_.back().get();
      if (type == Type::F32) {
        static_cast<float*>(data)[i] = x;
      } else {
        static_cast<uint16_t*>(data)[i] = backend::cpu::to_bfloat16(x);
      }
    }
    return {
        memory_.back().get(), type, {rows, width}, {rows == 1 ? 0 : width, 1}};
  }

  int64_t rows_, places_;
  std::vector<View> views_;
  std::vector<Memory> memory_;
  std::unique_ptr<backend::cpu::BoundPasses> passes_;
};

constexpr int kTimes = 50;
constexpr int kAdditions = 100'000;

// A chain of additions that no compiler shortens.
void add_up() {
  uint64_t sum = 0;
  for (int i = 0; i < kAdditions / 10; ++i) {
    for (int k = 0; k < 10; ++k) {
      asm volatile("" : "+r"(sum));
      sum += 1;
    }
  }
}

void run(const Settings& settings) {
  std::vector<std::string> names;
  std::vector<std::unique_ptr<Bench>> benches;
  std::vector<measure::Candidate> candidates = {{"cycle", add_up}};
  for (const Type type : {Type::F32, Type::BF16}) {
    for (const Formula& formula : formulas()) {
      if (formula.name.find(settings.only) == std::string::npos) {
        continue;
      }
      names.push_back(formula.name + (type == Type::BF16 ? " bf16" : ""));
      benches.push_back(std::make_unique<Bench>(formula, type, settings));
      candidates.push_back({names.back(), [bench = benches.back().get()] {
                              bench->run(kTimes);
                            }});
    }
  }
  measure::TimerOptions timer;
  timer.rounds = static_cast<int>(settings.rounds);
  const auto timings = measure::time_interleaved(candidates, timer);
  const double cycle = timings[0].seconds.median / kAdditions;
  for (size_t i = 0; i < benches.size(); ++i) {
    const double ns =
        timings[i + 1].seconds.median * 1e9 / kTimes / benches[i]->vectors();
    const double cycles = ns * 1e-9 / cycle;
    if (settings.json) {
      fmt::print(
          "{{\"name\": \"{}\", \"cycles_per_vector\": {:.2f}, \"ns\": {:.3f}}}\n",
          names[i],
          cycles,
          ns);
    } else {
      fmt::print("{:24} {:6.2f} cycles {:6.2f} ns\n", names[i], cycles, ns);
    }
  }
}

} // namespace

int main(int argc, char** argv) {
  return exit_code_of([&] {
    Settings settings;
    parse(
        "bench_loops",
        {{"--json", &settings.json},
         {"--rounds", &settings.rounds, "N"},
         {"--only", &settings.only, "TEXT"},
         {"--rows", &settings.rows, "N"},
         {"--width", &settings.width, "N"}},
        argc,
        argv);
    run(settings);
  });
}
