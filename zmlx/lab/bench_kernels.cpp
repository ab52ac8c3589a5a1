#include "zmlx/lab/bench_kernels.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "zmlx/backend/backend.h"
#include "zmlx/base/errors.h"
#include "zmlx/lab/bench_case.h"
#include "zmlx/lab/case_inputs.h"
#include "zmlx/op/convert.h"
#include "zmlx/op/reference.h"

namespace zmlx::lab {

namespace {

using Arrays = std::vector<mx::array>;
using Function = std::function<Arrays(const Arrays&)>;

// What both sides compute, on one set of inputs.
struct Work {
  Function ours;
  Function mlx;
  Arrays inputs;
  std::vector<int> wanted; // inputs whose gradient it is; none: the value
  Arrays cotangents;

  Arrays run(const Function& f) const {
    if (wanted.empty()) {
      return f(inputs);
    }
    Arrays primals;
    for (int i : wanted) {
      primals.push_back(inputs[i]);
    }
    return mx::vjp(
               [&](const Arrays& given) {
                 auto all = inputs;
                 for (size_t i = 0; i < wanted.size(); ++i) {
                   all[wanted[i]] = given[i];
                 }
                 return f(all);
               },
               primals,
               cotangents)
        .second;
  }
};

double
bytes_of(const lang::Body& body, const Work& work, const Arrays& results) {
  size_t largest = 0, bytes = 0;
  for (const auto* list : {&results, &work.cotangents}) {
    for (const auto& a : *list) {
      largest = std::max(largest, a.size());
      bytes += a.nbytes();
    }
  }
  for (size_t i = 0; i < work.inputs.size(); ++i) {
    const auto& a = work.inputs[i];
    const bool table = body.inputs[i].role == lang::Role::Table;
    bytes += table ? std::min(a.size(), largest) * a.itemsize() : a.nbytes();
  }
  return static_cast<double>(bytes);
}

double seconds_of(const std::function<void()>& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

// Reasons that were not counted for this kernel before.
std::string fallback_of(
    const std::string& kernel,
    const std::vector<op::Fallback>& before) {
  for (const auto& now : op::fallbacks()) {
    const bool counted =
        std::any_of(before.begin(), before.end(), [&](const op::Fallback& old) {
          return old.kernel == now.kernel && old.reason == now.reason &&
              old.count == now.count;
        });
    if (!counted &&
        (now.kernel == kernel || now.kernel == kernel + "_gradient")) {
      return now.reason;
    }
  }
  return "";
}

Work value_work(
    const op::Op& kernel,
    const lang::Case& c,
    const lang::Define& defined,
    mx::Dtype type) {
  Work work;
  const auto call = kernel.with(c.attributes).call();
  work.ours = [call](const Arrays& in) { return op::apply(call, in); };
  if (kernel.mlx()) {
    work.mlx = [f = kernel.mlx(), attributes = defined.attributes()](
                   const Arrays& in) { return f(in, attributes); };
  } else {
    work.mlx = [call](const Arrays& in) {
      return op::reference(call->body, in);
    };
  }
  work.inputs = inputs_of(defined, c, type, Layout::dense);
  return work;
}

// False, with the reason, where no gradient is a kernel.
bool add_gradient(
    Work& work,
    const op::Call& call,
    const std::vector<int>& inputs,
    std::string* why) {
  *why = "no input of a float type";
  for (int i : inputs) {
    if (call.body.inputs[i].role != lang::Role::Scalar &&
        call.gradient({i}, why)) {
      work.wanted.push_back(i);
    }
  }
  std::vector<mx::Shape> shapes;
  std::vector<mx::Dtype> types;
  for (const auto& output : work.ours(work.inputs)) {
    shapes.push_back(output.shape());
    types.push_back(output.dtype());
  }
  work.cotangents = random_arrays(shapes, types, Layout::dense, 31415);
  return !work.wanted.empty();
}

void check_alike(const std::string& kernel, const Arrays& a, const Arrays& b) {
  bool alike = a.size() == b.size();
  for (size_t i = 0; alike && i < a.size(); ++i) {
    alike = a[i].shape() == b[i].shape();
  }
  if (!alike) {
    throw internal_error(
        "{}: what MLX computes has other outputs than the kernel", kernel);
  }
}

void time_both(KernelBench& result, const Work& work, const BenchOptions& how) {
  const auto ours = [&] { mx::eval(work.run(work.ours)); };
  const auto mlx = [&] { mx::eval(work.run(work.mlx)); };
  ours(); // compiles
  const double seconds = seconds_of(ours) + seconds_of(mlx);
  measure::TimerOptions timer;
  timer.rounds = std::clamp(
      static_cast<int>(how.budget / seconds),
      std::min(5, how.rounds),
      how.rounds);
  auto times =
      measure::time_interleaved({{result.kernel, ours}, {"mlx", mlx}}, timer);
  result.ours = std::move(times[0]);
  result.mlx = std::move(times[1]);
  result.speedup = measure::speedup(result.mlx, result.ours);
}

} // namespace

Roofs measure_roofs() {
  const int threads = backend::peer_facts().threads;
  const measure::BandwidthOptions how{.threads = threads};
  return {
      measure::triad_bandwidth(how).bytes_per_second.median,
      measure::read_bandwidth(how).bytes_per_second.median,
      threads};
}

KernelBench bench_kernel(const op::Op& kernel, const BenchOptions& how) {
  KernelBench result;
  result.kernel = kernel.name();
  result.family = kernel.family();
  result.type = lang::name_of(op::to_lang(how.type));
  result.gradient = how.gradient;
  result.idiomatic = static_cast<bool>(kernel.mlx());
  const auto c = bench_case(kernel, how.elements);
  result.shapes = c.name;
  const auto defined = kernel.define(c.attributes);
  auto work = value_work(kernel, c, defined, how.type);
  if (how.gradient &&
      !add_gradient(
          work,
          *kernel.with(c.attributes).call(),
          float_inputs(defined, c),
          &result.skipped)) {
    return result;
  }
  result.skipped.clear();
  const auto before = op::fallbacks();
  const auto ours = work.run(work.ours);
  check_alike(kernel.name(), ours, work.run(work.mlx));
  result.bytes = bytes_of(defined.body(), work, ours);
  time_both(result, work, how);
  result.fallback = fallback_of(kernel.name(), before);
  return result;
}

std::vector<KernelBench> bench_kernels(
    const std::vector<const op::Op*>& kernels,
    const BenchOptions& how) {
  std::vector<KernelBench> results;
  for (const auto* kernel : kernels) {
    if (how.progress) {
      how.progress(
          kernel->name(),
          static_cast<int>(results.size()),
          static_cast<int>(kernels.size()));
    }
    try {
      results.push_back(bench_kernel(*kernel, how));
    } catch (const UserError& error) { // a case that does not scale
      KernelBench failed;
      failed.kernel = kernel->name();
      failed.family = kernel->family();
      failed.gradient = how.gradient;
      failed.skipped = error.what();
      results.push_back(std::move(failed));
    }
    mx::clear_cache();
  }
  return results;
}

CallBench bench_call(int rounds) {
  constexpr int calls = 100;
  const auto add = op::find_op("add").with({});
  const auto inputs = random_arrays(
      {{1000}, {1000}}, {mx::float32, mx::float32}, Layout::dense, 1);
  const auto chain = [&](const auto& step) {
    auto x = inputs[0];
    for (int i = 0; i < calls; ++i) {
      x = step(x, inputs[1]);
    }
    x.eval();
  };
  auto times = measure::time_interleaved(
      {{"add", [&] { chain(add); }},
       {"mx::add",
        [&] {
          chain([](const mx::array& a, const mx::array& b) {
            return mx::add(a, b);
          });
        }}},
      {.rounds = rounds});
  for (auto& t : times) {
    for (auto& s : t.samples) {
      s /= calls;
    }
    t.seconds = summarize(t.samples);
  }
  return {times[0], times[1], measure::speedup(times[1], times[0])};
}

} // namespace zmlx::lab
