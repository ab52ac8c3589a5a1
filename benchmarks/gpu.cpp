// Kernels on MLX's GPU beside what stock MLX does for the same result:
//
//   bench_gpu TYPE ROWS WIDTH KERNEL...
//
// All inputs that meet are of TYPE, bfloat16 or float32, and of ROWS x WIDTH.
// Three things are timed:
//  - "device": launches of the kernel alone, one after the other, without MLX,
//    and their share of what a copy moves in the same run;
//  - "ours": calls as arrays of MLX, queued and waited for together;
//  - "mlx", "compiled": the same of stock MLX, plain and through mx::compile.
// Rounds of the sides follow each other. Medians. Nothing is rotated: bytes
// should be several times the L2 cache.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>

#include "zmlx/backend/backend.h"
#include "zmlx/lab/case_inputs.h"
#include "zmlx/lang/lower.h"
#include "zmlx/op/convert.h"
#include "zmlx/op/op.h"
#include "zmlx/op/reference.h"

namespace {

namespace mx = mlx::core;
namespace backend = zmlx::backend;
using zmlx::lang::Case;
using Arrays = std::vector<mx::array>;

constexpr int kCalls = 10;
constexpr int kRounds = 7;
constexpr int64_t kMadeRows = 64; // the others repeat them

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double> took =
      std::chrono::steady_clock::now() - start;
  return took.count() / kCalls;
}

double median_of(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

/// A listed case whose inputs that meet have these rows, and others their own
/// last axis.
Case sized(const zmlx::op::Op& kernel, int64_t rows, int64_t width) {
  const auto defined = kernel.define();
  Case c = defined.listed_cases().at(0);
  for (const auto& listed : defined.listed_cases()) {
    if (listed.shapes[0].size() == 2) {
      c = listed;
      break;
    }
  }
  const int64_t old = c.shapes[0].back();
  for (auto& shape : c.shapes) {
    if (shape.size() == 2) {
      shape = {rows, width};
    } else if (shape.size() == 1) {
      shape = {shape[0] == old ? width : rows};
    }
  }
  return c;
}

Arrays inputs_on_device(
    const zmlx::op::Op& kernel,
    int64_t rows,
    int64_t width,
    mx::Dtype type) {
  const int64_t made = std::min(rows, kMadeRows);
  const Case c = sized(kernel, made, width);
  auto inputs = zmlx::lab::inputs_of(
      kernel.define(c.attributes), c, type, zmlx::lab::Layout::dense);
  for (auto& input : inputs) {
    if (input.ndim() > 0 && input.shape(0) == made) {
      std::vector<int> times(input.ndim(), 1);
      times[0] = static_cast<int>(rows / made);
      input = mx::tile(input, times);
    }
    input = mx::contiguous(input + mx::zeros({}, input.dtype()), false);
  }
  mx::eval(inputs);
  return inputs;
}

double bytes_of(const Arrays& arrays) {
  double bytes = 0;
  for (const auto& a : arrays) {
    bytes += static_cast<double>(a.nbytes());
  }
  return bytes;
}

backend::View view_of(const mx::array& a, backend::Address data) {
  backend::View view;
  view.data = data;
  view.type = zmlx::op::to_lang(a.dtype());
  view.shape.assign(a.shape().begin(), a.shape().end());
  view.strides.resize(view.shape.size());
  int64_t step = 1;
  for (size_t axis = view.shape.size(); axis-- > 0;) {
    view.strides[axis] = step;
    step *= view.shape[axis];
  }
  return view;
}

/// Launches of the kernel alone.
class Device {
 public:
  explicit Device(const backend::Peer& peer)
      : peer_(peer), queue_(peer.queue()) {}

  double copy_seconds(size_t bytes) {
    const auto from = peer_.allocate(bytes), to = peer_.allocate(bytes);
    std::vector<double> seconds;
    for (int round = 0; round <= kRounds; ++round) {
      seconds.push_back(seconds_of([&] {
        for (int i = 0; i < kCalls; ++i) {
          queue_->copy(to.address, from.address, bytes);
        }
        queue_->wait();
      }));
    }
    return median_of(seconds);
  }

  /// Nothing where the kernel has no text.
  std::unique_ptr<backend::Sequence> calls_of(
      const zmlx::lang::Body& body,
      const Arrays& inputs,
      const Arrays& results) {
    std::vector<zmlx::lang::Type> types;
    for (const auto& input : inputs) {
      types.push_back(zmlx::op::to_lang(input.dtype()));
    }
    std::string why;
    const auto program = zmlx::lang::lower(body, types, &why);
    if (!program || peer_.unsupported(*program)) {
      return nullptr;
    }
    backend::SequenceItem item;
    item.executable = peer_.compile(*program);
    for (const auto& input : inputs) {
      memory_.push_back(peer_.import(input));
      item.inputs.push_back(view_of(input, memory_.back().address));
    }
    for (const auto& result : results) {
      memory_.push_back(peer_.allocate(result.nbytes()));
      item.outputs.push_back(view_of(result, memory_.back().address));
    }
    return peer_.sequence(
        std::vector<backend::SequenceItem>(kCalls, item), {}, {});
  }

  double seconds_of_calls(backend::Sequence& calls) {
    return seconds_of([&] {
      queue_->run(calls);
      queue_->wait();
    });
  }

 private:
  const backend::Peer& peer_;
  std::unique_ptr<backend::Queue> queue_;
  std::vector<backend::Memory> memory_;
};

double seconds_of_side(const std::function<Arrays()>& side) {
  return seconds_of([&] {
    Arrays results;
    for (int i = 0; i < kCalls; ++i) {
      for (auto& result : side()) {
        results.push_back(std::move(result));
      }
    }
    mx::eval(results);
  });
}

void bench(
    const zmlx::op::Op& kernel,
    int64_t rows,
    int64_t width,
    mx::Dtype type,
    const backend::Peer& peer,
    double copy_rate) {
  const Case c = sized(kernel, rows, width);
  const auto defined = kernel.define(c.attributes);
  const auto inputs = inputs_on_device(kernel, rows, width, type);
  const auto call = kernel.with(c.attributes);
  const auto composition = [&](const Arrays& in) {
    return kernel.mlx()
        ? kernel.mlx()(in, defined.attributes())
        : zmlx::op::reference(defined.body(), in, zmlx::op::Precision::Compute);
  };
  const std::function<Arrays()> ours = [&] {
    return zmlx::op::apply(call.call(), inputs);
  };
  const std::function<Arrays()> plain = [&] { return composition(inputs); };
  // Not where a composition reads a number of its inputs.
  std::function<Arrays()> compiled = [run = mx::compile(composition), &inputs] {
    return run(inputs);
  };
  try {
    compiled();
  } catch (const std::exception&) {
    compiled = plain;
  }
  auto results = ours();
  mx::eval(results);
  const double bytes = bytes_of(inputs) + bytes_of(results);
  Device device(peer);
  const auto calls = device.calls_of(defined.body(), inputs, results);
  results.clear();
  std::vector<double> seconds[4];
  for (int round = -1; round < kRounds; ++round) {
    const double took[] = {
        calls ? device.seconds_of_calls(*calls) : 0,
        seconds_of_side(ours),
        seconds_of_side(plain),
        seconds_of_side(compiled)};
    for (int side = 0; round >= 0 && side < 4; ++side) {
      seconds[side].push_back(took[side]);
    }
  }
  double median[4];
  for (int side = 0; side < 4; ++side) {
    median[side] = median_of(seconds[side]);
  }
  const auto [fastest, slowest] =
      std::minmax_element(seconds[0].begin(), seconds[0].end());
  std::printf("%-22s %5.0f MB", kernel.name().c_str(), bytes / 1e6);
  if (calls) {
    std::printf(
        "  device %7.1f us (%.1f .. %.1f) %.2f TB/s %3.0f %%",
        median[0] * 1e6,
        *fastest * 1e6,
        *slowest * 1e6,
        bytes / median[0] / 1e12,
        100 * bytes / median[0] / copy_rate);
  } else {
    std::printf("  falls back");
  }
  std::printf(
      "  ours %7.1f us  mlx %7.1f x%.2f  compiled %7.1f x%.2f\n",
      median[1] * 1e6,
      median[2] * 1e6,
      median[2] / median[1],
      median[3] * 1e6,
      median[3] / median[1]);
  std::fflush(stdout);
}

} // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: bench_gpu TYPE ROWS WIDTH KERNEL...\n");
    return 2;
  }
  const auto* peer = mx::is_available(mx::Device::gpu)
      ? backend::find_peer(mx::Device::gpu)
      : nullptr;
  if (!peer) {
    std::fprintf(stderr, "bench_gpu: there is no peer for MLX's GPU here\n");
    return 3;
  }
  const auto type =
      std::string_view(argv[1]) == "float32" ? mx::float32 : mx::bfloat16;
  constexpr size_t bytes = size_t{1} << 29;
  const double rate = 2 * bytes / Device(*peer).copy_seconds(bytes);
  std::printf("a copy moves %.2f TB/s\n", rate / 1e12);
  for (int i = 4; i < argc; ++i) {
    try {
      bench(
          zmlx::op::find_op(argv[i]),
          std::atoll(argv[2]),
          std::atoll(argv[3]),
          type,
          *peer,
          rate);
    } catch (const std::exception& error) {
      std::printf("%s: %s\n", argv[i], error.what());
    }
    mx::clear_cache();
  }
}
