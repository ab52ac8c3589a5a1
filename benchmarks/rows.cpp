// Speed of maps, row kernels and their gradients on the CPU beside the memory's
// own rate: a triad and a plain read, interleaved.
//
//   bench_rows [--json] [--rounds N] [--only TEXT] [--cpu-time] [--show]
//              [--smaller N]
//
// --cpu-time counts what the process itself computes, for a machine that others
// use too; meant for ZMLX_THREADS=1, as waiting threads count.
// --show prints the lowered programs beside. --smaller divides the number of
// rows: where all stays in the caches the time is that of computing.
#include <atomic>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "memory_rate.h"
#include "options.h"
#include "zmlx/backend/cpu/half.h"
#include "zmlx/lang/derive.h"
#include "zmlx/lang/functions.h"
#include "zmlx/lang/space.h"

namespace {

using namespace zmlx;
using namespace zmlx::benchmarks;
using backend::View;
using lang::Body;
using lang::Expr;
using lang::Role;
using lang::Shape;
using lang::Type;

constexpr int64_t kFloats = int64_t{16} << 20; // 64 MB

struct Settings {
  bool json = false;
  int64_t rounds = 11;
  std::string only;
  bool cpu_time = false;
  bool show = false;
  int64_t smaller = 1;
};

View make_view(Type type, const Shape& shape, std::vector<Memory>& kept) {
  const int64_t n = lang::count(shape);
  kept.push_back(allocate(n * static_cast<int64_t>(lang::size_of(type))));
  void* data = kept.back().get();
  for (int64_t i = 0; i < n; ++i) {
    const float x = static_cast<float>(i % 1000) / 200 - 2;
    if (type == Type::F32) {
      static_cast<float*>(data)[i] = x;
    } else if (type == Type::BF16) {
      static_cast<uint16_t*>(data)[i] = backend::cpu::to_bfloat16(x);
    } else {
      static_cast<int32_t*>(data)[i] = static_cast<int32_t>(i % 1000);
    }
  }
  lang::Strides strides(shape.size(), 1);
  for (size_t axis = shape.size(); axis-- > 1;) {
    strides[axis - 1] = strides[axis] * shape[axis];
  }
  return {data, type, shape, strides};
}

struct Case {
  std::string name;
  Body body;
  std::vector<Shape> shapes; // of the inputs, float ones of `type`
  Type type = Type::F32;
};

struct Bench {
  double bytes = 0; // read and written, each once
  std::unique_ptr<backend::cpu::Launch> launch;
  std::vector<Memory> memory;
};

std::unique_ptr<Bench> prepare(const Case& c, bool show) {
  auto bench = std::make_unique<Bench>();
  std::vector<Type> types;
  for (const auto& input : c.body.inputs) {
    types.push_back(input.name == "target" ? Type::I32 : c.type);
  }
  const auto program = lowered(c.name, c.body, types);
  if (show) {
    fmt::print("{}:\n{}\n", c.name, lang::to_text(program));
  }
  std::vector<View> inputs, outputs;
  for (size_t i = 0; i < types.size(); ++i) {
    inputs.push_back(make_view(types[i], c.shapes[i], bench->memory));
    bench->bytes +=
        static_cast<double>(lang::count(c.shapes[i]) * lang::size_of(types[i]));
  }
  const auto shapes = lang::infer_shapes(c.body, c.shapes);
  for (size_t i = 0; i < shapes.size(); ++i) {
    const Type type = program.outputs[i];
    outputs.push_back(make_view(type, shapes[i], bench->memory));
    bench->bytes +=
        static_cast<double>(lang::count(shapes[i]) * lang::size_of(type));
  }
  bench->launch = launch_of(program, inputs, outputs);
  return bench;
}

// --------------------------------------------------------------- the cases

Expr in(int number) {
  return lang::input(number);
}

Body body_of(std::vector<lang::Input> inputs, const std::vector<Expr>& values) {
  Body body{std::move(inputs), {}};
  for (const Expr& value : values) {
    body.outputs.push_back(
        {"out" + std::to_string(body.outputs.size()), value});
  }
  return body;
}

/// A kernel and its gradient with respect to all float inputs.
void add_both(
    std::vector<Case>& cases,
    const std::string& name,
    const Body& body,
    std::vector<Shape> shapes,
    Type type) {
  const std::string suffix = type == Type::BF16 ? " bf16" : "";
  cases.push_back({name + suffix, body, shapes, type});
  std::vector<int> wanted;
  for (size_t i = 0; i < body.inputs.size(); ++i) {
    if (body.inputs[i].name != "target") {
      wanted.push_back(static_cast<int>(i));
    }
  }
  std::string why;
  const auto gradient = lang::derive(body, wanted, &why);
  if (!gradient) {
    throw internal_error("bench_rows: {}: {}", name, why);
  }
  for (const Shape& shape : lang::infer_shapes(body, shapes)) {
    shapes.push_back(shape);
  }
  cases.push_back({"grad " + name + suffix, *gradient, shapes, type});
}

std::vector<Case> make_cases(int64_t smaller) {
  const Shape x{2048 / smaller, 4096}, w{4096}, flat{kFloats / smaller};
  const Expr a = in(0), b = in(1);
  const Expr sum = lang::as(Type::F32, a + b);
  std::vector<Case> cases = {
      {"a + b", body_of({{"a"}, {"b"}}, {a + b}), {flat, flat}},
      {"exp(a)", body_of({{"a"}}, {lang::exp(a)}), {flat}},
      {"tanh(a)", body_of({{"a"}}, {lang::tanh(a)}), {flat}},
      {"log(a)", body_of({{"a"}}, {lang::log(a * a + 1)}), {flat}},
      {"gelu(a)", body_of({{"a"}}, {lang::gelu(a)}), {flat}},
      {"sum(a)", body_of({{"a"}}, {lang::sum(a)}), {{4096 / smaller, 4096}}},
      {"cumsum(a)", body_of({{"a"}}, {lang::cumsum(a)}), {x}},
      {"a[:, half] * b",
       body_of(
           {{"a", Role::Row}, {"b"}},
           {lang::pick(a, lang::index() + 4096) * b}),
       {{2048 / smaller, 8192}, x}},
      {"dropout(a)",
       body_of(
           {{"a"}},
           {lang::select(
               lang::random(7) < lang::constant(0x20000000, Type::I32), a, 0)}),
       {flat}},
  };
  for (Type type : {Type::F32, Type::BF16}) {
    add_both(
        cases,
        "silu(a) * b",
        body_of({{"a"}, {"b"}}, {lang::silu(a) * b}),
        {flat, flat},
        type);
    add_both(cases, "softmax", body_of({{"x"}}, {lang::softmax(a)}), {x}, type);
    add_both(
        cases,
        "rms_norm",
        body_of({{"x"}, {"w"}}, {lang::rms_norm(a, b, 1e-5)}),
        {x, w},
        type);
    add_both(
        cases,
        "add_rms_norm",
        body_of({{"x"}, {"r"}, {"w"}}, {lang::rms_norm(sum, in(2), 1e-5), sum}),
        {x, x, w},
        type);
    add_both(
        cases,
        "layer_norm",
        body_of({{"x"}, {"g"}, {"b"}}, {lang::layer_norm(a, b, in(2), 1e-5)}),
        {x, w, w},
        type);
    add_both(
        cases,
        "cross_entropy",
        body_of(
            {{"x"}, {"target", Role::EachRow}},
            {lang::logsumexp(a) - lang::pick(a, b)}),
        {{256 / smaller, 32768}, {256 / smaller}},
        type);
  }
  return cases;
}

// -------------------------------------------------------------- the report

void report(bool json, const std::vector<Rate>& rates) {
  const std::vector<Roof> roofs = {
      {"triad", rates[0].per_second()}, {"read", rates[1].per_second()}};
  if (!json) {
    fmt::print("{}\n\n{}", conditions(), table_of(rates, roofs).to_string());
    return;
  }
  for (const Rate& rate : rates) {
    fmt::print("{}\n", json_of(rate, roofs));
  }
}

double process_seconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * now.tv_nsec;
}

void run(const Settings& settings) {
  std::vector<Memory> memory;
  const auto floats = [&] {
    return backend::cpu::pointer<float>(
        make_view(Type::F32, {kFloats}, memory).data);
  };
  float *out = floats(), *a = floats(), *b = floats();
  std::atomic<uint32_t> seen = 0;
  std::vector<measure::Candidate> candidates = {
      {"triad", [&] { run_triad(out, a, b, kFloats); }},
      {"read", [&] {
         over_parts(kFloats, [&](int64_t at, size_t n) {
           seen += measure::read_forward(a + at, n);
         });
       }}};
  std::vector<double> bytes = {3 * 4.0 * kFloats, 4.0 * kFloats};
  std::vector<std::unique_ptr<Bench>> benches;
  for (const Case& c : make_cases(settings.smaller)) {
    if (c.name.find(settings.only) == std::string::npos) {
      continue;
    }
    benches.push_back(prepare(c, settings.show));
    bytes.push_back(benches.back()->bytes);
    candidates.push_back({c.name, [bench = benches.back().get()] {
                            backend::cpu::run(*bench->launch);
                          }});
  }
  measure::TimerOptions timer;
  timer.rounds = static_cast<int>(settings.rounds);
  if (settings.cpu_time) {
    timer.clock = process_seconds;
  }
  const auto timings = measure::time_interleaved(candidates, timer);
  std::vector<Rate> rates;
  for (size_t i = 0; i < timings.size(); ++i) {
    rates.push_back({timings[i], bytes[i]});
  }
  report(settings.json, rates);
}

} // namespace

int main(int argc, char** argv) {
  return exit_code_of([&] {
    Settings settings;
    parse(
        "bench_rows",
        {{"--json", &settings.json},
         {"--rounds", &settings.rounds, "N"},
         {"--only", &settings.only, "TEXT"},
         {"--cpu-time", &settings.cpu_time},
         {"--show", &settings.show},
         {"--smaller", &settings.smaller, "N"}},
        argc,
        argv);
    run(settings);
  });
}
