// Speed of maps, row kernels and their gradients on the CPU beside the memory's
// own rate, measured in the same process, interleaved, on the same threads: a
// triad (two arrays read, one written past the caches) and a plain read.
//
//   bench_rows [--json] [--rounds N] [--only TEXT] [--cpu-time] [--show]
//              [--smaller N]
//
// --cpu-time counts what the process itself computes, for a machine that others
// use too; meant for ZMLX_THREADS=1, as waiting threads count.
// --show prints the lowered programs beside. --smaller divides the number of
// rows: where all stays in the caches the time is that of computing.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "zmlx/backend/cpu/buffers.h"
#include "zmlx/backend/cpu/cpu.h"
#include "zmlx/backend/cpu/half.h"
#include "zmlx/backend/cpu/pool.h"
#include "zmlx/base/errors.h"
#include "zmlx/base/text.h"
#include "zmlx/lang/derive.h"
#include "zmlx/lang/functions.h"
#include "zmlx/lang/lower.h"
#include "zmlx/measure/bandwidth_loops.h"
#include "zmlx/measure/timer.h"

namespace {

using namespace zmlx;
using backend::View;
using lang::Body;
using lang::Expr;
using lang::Role;
using lang::Shape;
using lang::Type;

constexpr int64_t kFloats = int64_t{16} << 20; // 64 MB

struct Options {
  bool json = false;
  int rounds = 11;
  std::string only;
  bool cpu_time = false;
  bool show = false;
  int64_t smaller = 1;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--json") {
      options.json = true;
    } else if (flag == "--rounds" && i + 1 < argc && std::atoi(argv[i + 1])) {
      options.rounds = std::atoi(argv[++i]);
    } else if (flag == "--only" && i + 1 < argc) {
      options.only = argv[++i];
    } else if (flag == "--smaller" && i + 1 < argc && std::atoi(argv[i + 1])) {
      options.smaller = std::atoi(argv[++i]);
    } else if (flag == "--show") {
      options.show = true;
    } else if (flag == "--cpu-time") {
      options.cpu_time = true;
    } else {
      throw user_error(
          "bench_rows: unknown '{}'; expected --json, --rounds N, --only TEXT, "
          "--cpu-time, --show, --smaller N",
          flag);
    }
  }
  return options;
}

int64_t count(const Shape& shape) {
  int64_t n = 1;
  for (int64_t extent : shape) {
    n *= extent;
  }
  return n;
}

struct Release {
  void operator()(void* memory) const {
    backend::cpu::release(memory);
  }
};
using Memory = std::unique_ptr<void, Release>;

View make_view(Type type, const Shape& shape, std::vector<Memory>& kept) {
  const int64_t n = count(shape);
  kept.emplace_back(backend::cpu::allocate(n * lang::size_of(type)));
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
  std::string name;
  double bytes = 0; // read and written, each once
  std::vector<std::unique_ptr<backend::Launch>> launches;
  std::vector<Memory> memory;
};

std::unique_ptr<Bench> bind(const Case& c, bool show) {
  auto bench = std::make_unique<Bench>();
  bench->name = c.name;
  std::vector<Type> types;
  for (const auto& input : c.body.inputs) {
    types.push_back(input.name == "target" ? Type::I32 : c.type);
  }
  std::string why;
  const auto program = lang::lower(c.body, types, &why);
  if (!program) {
    throw internal_error("bench_rows: {}: {}", c.name, why);
  }
  if (show) {
    fmt::print("{}:\n{}\n", c.name, lang::to_text(*program));
  }
  std::vector<View> inputs, outputs;
  for (size_t i = 0; i < types.size(); ++i) {
    inputs.push_back(make_view(types[i], c.shapes[i], bench->memory));
    bench->bytes +=
        static_cast<double>(count(c.shapes[i]) * lang::size_of(types[i]));
  }
  const auto shapes = lang::infer_shapes(c.body, c.shapes);
  for (size_t i = 0; i < shapes.size(); ++i) {
    const Type type = program->outputs[i];
    outputs.push_back(make_view(type, shapes[i], bench->memory));
    bench->bytes += static_cast<double>(count(shapes[i]) * lang::size_of(type));
  }
  const auto& cpu = backend::cpu::instance();
  if (const auto reason = cpu.unsupported(*program)) {
    throw internal_error("bench_rows: {}: {}", c.name, *reason);
  }
  bench->launches.push_back(cpu.compile(*program)->bind(inputs, outputs));
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

// ------------------------------------------------------------- the memory

template <typename Run>
void over_parts(Run run) {
  backend::cpu::Pool::shared().run([&](int part, int parts) {
    const auto block = static_cast<int64_t>(measure::bandwidth_block);
    const int64_t begin = kFloats / block * part / parts * block;
    const int64_t end = kFloats / block * (part + 1) / parts * block;
    run(begin, static_cast<size_t>(end - begin));
  });
}

void report(
    const Options& options,
    const std::vector<std::unique_ptr<Bench>>& benches,
    const std::vector<measure::Timing>& timings) {
  const double bytes = 4.0 * kFloats;
  const double triad = 3 * bytes / timings[0].seconds.median;
  const double read = bytes / timings[1].seconds.median;
  Table table(
      {{"kernel"},
       {"time", Table::Align::right},
       {"rate", Table::Align::right},
       {"of triad", Table::Align::right},
       {"of read", Table::Align::right}});
  const auto add = [&](const measure::Timing& timing, double moved) {
    const double rate = moved / timing.seconds.median;
    if (options.json) {
      fmt::print(
          "{{\"kernel\": \"{}\", \"seconds\": {}, \"spread\": {}, "
          "\"bytes_per_second\": {}, \"of_triad\": {}, \"of_read\": {}}}\n",
          timing.name,
          timing.seconds.median,
          timing.seconds.spread(),
          rate,
          rate / triad,
          rate / read);
    }
    table.add_row(
        {timing.name,
         format_seconds(timing.seconds.median),
         format_rate(rate),
         fmt::format("{:.0f} %", 100 * rate / triad),
         fmt::format("{:.0f} %", 100 * rate / read)});
  };
  add(timings[0], 3 * bytes);
  add(timings[1], bytes);
  for (size_t i = 0; i < benches.size(); ++i) {
    add(timings[i + 2], benches[i]->bytes);
  }
  if (!options.json) {
    fmt::print(
        "{} threads, {}\n\n{}",
        backend::cpu::Pool::shared().threads(),
        backend::cpu::simd_name(),
        table.to_string());
  }
}

void run(const Options& options) {
  std::vector<Memory> memory;
  auto* out = static_cast<float*>(make_view(Type::F32, {kFloats}, memory).data);
  auto* a = static_cast<float*>(make_view(Type::F32, {kFloats}, memory).data);
  auto* b = static_cast<float*>(make_view(Type::F32, {kFloats}, memory).data);
  std::atomic<uint32_t> seen = 0;
  std::vector<measure::Candidate> candidates = {
      {"triad",
       [&] {
         over_parts([&](int64_t at, size_t n) {
           measure::triad(out + at, a + at, b + at, n);
         });
       }},
      {"read", [&] {
         over_parts([&](int64_t at, size_t n) {
           seen += measure::read_forward(a + at, n);
         });
       }}};
  std::vector<std::unique_ptr<Bench>> benches;
  for (const Case& c : make_cases(options.smaller)) {
    if (c.name.find(options.only) == std::string::npos) {
      continue;
    }
    benches.push_back(bind(c, options.show));
    candidates.push_back({c.name, [bench = benches.back().get()] {
                            backend::cpu::instance().run(bench->launches);
                          }});
  }
  measure::TimerOptions timer;
  timer.rounds = options.rounds;
  if (options.cpu_time) {
    timer.clock = [] {
      timespec now;
      clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
      return static_cast<double>(now.tv_sec) + 1e-9 * now.tv_nsec;
    };
  }
  report(options, benches, measure::time_interleaved(candidates, timer));
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
