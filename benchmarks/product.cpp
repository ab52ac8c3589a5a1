// Speed of the product stage on the CPU beside the rate at which the same
// threads read the same memory, interleaved in one process: the products of a
// SmolLM2-135M decode step one shape at a time, and the whole step, whose
// weights (98 MB with f16 scales) no cache keeps.
//
//   bench_product [--rounds N] [--scales f16|f32] [--threads N]
#include <sys/mman.h>

#include <cmath>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "zmlx/backend/cpu/half.h"
#include "zmlx/backend/cpu/pool.h"
#include "zmlx/backend/stages/product/cpu.h"
#include "zmlx/base/errors.h"
#include "zmlx/lang/functions.h"
#include "zmlx/lang/lower.h"
#include "zmlx/measure/bandwidth_loops.h"
#include "zmlx/measure/timer.h"

namespace {

using namespace zmlx;
using backend::View;
using lang::Expr;
using lang::Type;

constexpr int64_t kHidden = 576;
constexpr int64_t kKeyValue = 192;
constexpr int64_t kFeedForward = 1536;
constexpr int64_t kVocabulary = 49152;
constexpr int kLayers = 30;
constexpr int kGroup = 32;

struct Options {
  int rounds = 15;
  int threads = 0; // 1 and 2
  Type scales = Type::F16;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const std::string value = i + 1 < argc ? argv[i + 1] : "";
    if (flag == "--rounds" && std::atoi(value.c_str()) > 0) {
      options.rounds = std::atoi(argv[++i]);
    } else if (flag == "--threads" && std::atoi(value.c_str()) > 0) {
      options.threads = std::atoi(argv[++i]);
    } else if (flag == "--scales" && (value == "f16" || value == "f32")) {
      options.scales = value == "f16" ? Type::F16 : Type::F32;
      ++i;
    } else {
      throw user_error(
          "bench_product: unknown '{}'; expected --rounds N, --threads N, "
          "--scales f16|f32",
          flag);
    }
  }
  return options;
}

/// Memory for all weights, in order, as a loaded model has them.
class Memory {
 public:
  explicit Memory(size_t bytes) : bytes_(bytes) {
    void* data = mmap(
        nullptr,
        bytes,
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS,
        -1,
        0);
    if (data == MAP_FAILED) {
      throw environment_error("bench_product: no memory for {} bytes", bytes);
    }
    data_ = static_cast<std::byte*>(data);
    madvise(data_, bytes, MADV_HUGEPAGE);
  }
  ~Memory() {
    munmap(data_, bytes_);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  std::byte* take(int64_t bytes) {
    std::byte* at = data_ + used_;
    used_ += (static_cast<size_t>(bytes) + 63) / 64 * 64;
    if (used_ > bytes_) {
      throw internal_error("bench_product: the weights outgrow their memory");
    }
    return at;
  }
  const std::byte* data() const {
    return data_;
  }
  size_t used() const {
    return used_;
  }

 private:
  size_t bytes_;
  std::byte* data_;
  size_t used_ = 0;
};

/// What all products of the step share.
struct Step {
  Memory memory{size_t{192} << 20};
  std::mt19937 random{1};
  Type scales;
  std::vector<float> x = std::vector<float>(kFeedForward);
  std::vector<float> norm = std::vector<float>(kHidden, 1.f);
  // Outputs are as many as a product has, each with room for the largest.
  std::vector<std::vector<float>> y =
      std::vector<std::vector<float>>(3, std::vector<float>(kVocabulary));

  explicit Step(Type type) : scales(type) {
    std::normal_distribution<float> normal;
    for (float& value : x) {
      value = normal(random);
    }
  }
};

struct Product {
  std::unique_ptr<backend::cpu::Launch> launch;
  int64_t bytes = 0;
};

View dense_view(void* data, Type type, int64_t rows, int64_t width) {
  return {data, type, {rows, width}, {width, 1}};
}

/// Builds one product: its inputs, its formula, its launch.
class Builder {
 public:
  Builder(Step& step, int64_t width)
      : step_(step),
        width_(width),
        x_(input(
            lang::Role::Element,
            dense_view(step.x.data(), Type::F32, 1, width))) {}

  Expr x() const {
    return x_;
  }

  Expr norm() {
    return input(
        lang::Role::Element, {step_.norm.data(), Type::F32, {width_}, {1}});
  }

  /// The accumulator of a random weight.
  Expr times_weight(Expr row, int64_t rows, int bits) {
    const int first = static_cast<int>(views_.size());
    const int64_t words = width_ * bits / 32;
    const int64_t groups = width_ / kGroup;
    std::byte* w = step_.memory.take(rows * words * 4);
    for (int64_t i = 0; i < rows * words; ++i) {
      reinterpret_cast<uint32_t*>(w)[i] = static_cast<uint32_t>(step_.random());
    }
    input(lang::Role::Whole, dense_view(w, Type::U32, rows, words));
    add_scales(rows, groups, 0.01f);
    add_scales(rows, groups, -0.01f * static_cast<float>(1 << (bits - 1)));
    bytes_ += rows * words * 4;
    return product(
        row,
        {lang::WeightFormat::Affine,
         bits,
         kGroup,
         {first, first + 1, first + 2}});
  }

  void output(Expr value, int64_t rows) {
    std::vector<float>& y = step_.y[outputs_.size()];
    outputs_.push_back(dense_view(y.data(), Type::F32, 1, rows));
    body_.outputs.push_back(
        {fmt::format("y{}", outputs_.size()), std::move(value)});
  }

  Product build() const {
    std::vector<Type> types;
    for (const View& view : views_) {
      types.push_back(view.type);
    }
    std::string why;
    const auto program = lang::lower(body_, types, &why);
    if (!program) {
      throw internal_error("bench_product: {}", why);
    }
    return {
        backend::stages::make_product(*program)->bind(views_, outputs_),
        bytes_};
  }

 private:
  Expr input(lang::Role role, View view) {
    body_.inputs.push_back({fmt::format("in{}", views_.size()), role});
    views_.push_back(std::move(view));
    return lang::input(static_cast<int>(views_.size()) - 1);
  }

  void add_scales(int64_t rows, int64_t groups, float value) {
    const int64_t size = static_cast<int64_t>(lang::size_of(step_.scales));
    std::byte* at = step_.memory.take(rows * groups * size);
    for (int64_t i = 0; i < rows * groups; ++i) {
      if (step_.scales == Type::F32) {
        reinterpret_cast<float*>(at)[i] = value;
      } else {
        reinterpret_cast<uint16_t*>(at)[i] = backend::cpu::to_float16(value);
      }
    }
    input(lang::Role::Whole, dense_view(at, step_.scales, rows, groups));
    bytes_ += rows * groups * size;
  }

  Step& step_;
  int64_t width_;
  std::vector<View> views_;
  std::vector<View> outputs_;
  lang::Body body_;
  int64_t bytes_ = 0;
  Expr x_;
};

Expr normalized(Builder& b) {
  return rms_norm(b.x(), b.norm(), 1e-5);
}

Product query_key_value(Step& step) {
  Builder b(step, kHidden);
  const Expr row = normalized(b);
  for (const int64_t rows : {kHidden, kKeyValue, kKeyValue}) {
    b.output(b.times_weight(row, rows, 4), rows);
  }
  return b.build();
}

Product plain(Step& step, int64_t width, int64_t rows, int bits) {
  Builder b(step, width);
  b.output(b.times_weight(b.x(), rows, bits), rows);
  return b.build();
}

Product gate_up(Step& step) {
  Builder b(step, kHidden);
  const Expr row = normalized(b);
  const Expr gate = b.times_weight(row, kFeedForward, 4);
  const Expr up = b.times_weight(row, kFeedForward, 4);
  b.output(silu(gate) * up, kFeedForward);
  return b.build();
}

Product head(Step& step) {
  Builder b(step, kHidden);
  b.output(b.times_weight(normalized(b), kVocabulary, 8), kVocabulary);
  return b.build();
}

/// Launches in turn, each a round. What comes next is asked for before the
/// wait.
class InTurn : public backend::cpu::Work {
 public:
  explicit InTurn(const std::vector<const backend::cpu::Launch*>& launches)
      : launches_(launches) {}
  void run(int round, int part, int parts) noexcept override {
    launches_[round]->run(part, parts);
  }
  void prefetch(int round, int part, int parts) noexcept override {
    launches_[round]->prefetch(part, parts);
  }

 private:
  const std::vector<const backend::cpu::Launch*>& launches_;
};

void run_all(
    backend::cpu::Pool& pool,
    const std::vector<const backend::cpu::Launch*>& launches) {
  InTurn work(launches);
  pool.run(work, static_cast<int>(launches.size()));
}

void read_all(backend::cpu::Pool& pool, const Memory& memory) {
  pool.run([&](int part, int parts) {
    const size_t count = memory.used() / sizeof(float) /
        static_cast<size_t>(parts) / measure::bandwidth_block *
        measure::bandwidth_block;
    volatile uint32_t sum = measure::read_forward(
        reinterpret_cast<const float*>(memory.data()) +
            static_cast<size_t>(part) * count,
        count);
    static_cast<void>(sum);
  });
}

void measure_threads(
    Step& step,
    const std::vector<Product>& products,
    int threads,
    int rounds) {
  backend::cpu::Pool pool(threads);
  struct Row {
    std::string name;
    std::vector<const backend::cpu::Launch*> launches;
    int64_t bytes = 0;
  };
  // A layer's products lie four apart; each shape alone goes over all layers.
  std::vector<Row> rows = {
      {"576 -> 576 + 192 + 192"},
      {"576 -> 576"},
      {"576 -> 1536 x 2, gate"},
      {"1536 -> 576"},
      {"576 -> 49152, 8 bits"},
      {"step"}};
  for (size_t i = 0; i < products.size(); ++i) {
    const bool last = i + 1 == products.size();
    for (Row* row : {&rows[last ? 4 : i % 4], &rows[5]}) {
      row->launches.push_back(products[i].launch.get());
      row->bytes += products[i].bytes;
    }
  }
  std::vector<measure::Candidate> candidates = {
      {"read", [&] { read_all(pool, step.memory); }}};
  for (const Row& row : rows) {
    candidates.push_back({row.name, [&] { run_all(pool, row.launches); }});
  }
  const auto timings =
      measure::time_interleaved(candidates, {.rounds = rounds});
  const auto rate = [](int64_t bytes, double seconds) {
    return static_cast<double>(bytes) / seconds / 1e9;
  };
  const int64_t all = static_cast<int64_t>(step.memory.used());
  const double read = rate(all, timings[0].seconds.median);
  const double best = rate(all, timings[0].seconds.min);
  fmt::print(
      "{} threads: reading {:.1f} GB/s, best {:.1f}\n", threads, read, best);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto& seconds = timings[i + 1].seconds;
    const double median = rate(rows[i].bytes, seconds.median);
    const double top = rate(rows[i].bytes, seconds.min);
    fmt::print(
        "  {:24} {:6.1f} MB {:8.3f} ms {:6.1f} GB/s {:4.0f} %   best {:6.1f} "
        "GB/s {:4.0f} %\n",
        rows[i].name,
        static_cast<double>(rows[i].bytes) / 1e6,
        seconds.median * 1e3,
        median,
        100 * median / read,
        top,
        100 * top / best);
  }
}

} // namespace

int main(int argc, char** argv) {
  try {
    const Options options = parse(argc, argv);
    Step step(options.scales);
    std::vector<Product> products;
    for (int layer = 0; layer < kLayers; ++layer) {
      products.push_back(query_key_value(step));
      products.push_back(plain(step, kHidden, kHidden, 4));
      products.push_back(gate_up(step));
      products.push_back(plain(step, kFeedForward, kHidden, 4));
    }
    products.push_back(head(step));
    for (const int threads : {1, 2}) {
      if (options.threads == 0 || options.threads == threads) {
        measure_threads(step, products, threads, options.rounds);
      }
    }
    if (options.threads > 2) {
      measure_threads(step, products, options.threads, options.rounds);
    }
    return 0;
  } catch (const UserError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 3;
  }
}
