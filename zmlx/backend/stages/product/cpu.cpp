#include "zmlx/backend/stages/product/cpu.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "zmlx/backend/cpu/passes.h"
#include "zmlx/backend/faults.h"
#include "zmlx/backend/stages/product/cpu_experts.h"
#include "zmlx/backend/stages/product/cpu_multiply.h"
#include "zmlx/backend/stages/scratch.h"
#include "zmlx/base/errors.h"

namespace zmlx::backend::stages {

using lang::Type;
using lang::WeightFormat;

namespace {

// Parts begin at multiples of this many rows: no output line is shared.
constexpr int64_t kUnit = 16;
// Rows of the weight between two runs of the store: its operands stay in L1.
constexpr int64_t kPlaces = 128;
// What is asked for ahead of the first use; from there on the loop does it.
constexpr int64_t kFirstBytes = 8192;
constexpr int64_t kFirstScales = 1024;

Format format_of(const lang::Weight& weight, std::span<const Type> types) {
  Format format{weight.format, Type::F32, weight.bits, weight.group_size};
  const auto numbers = lang::parts_of(weight);
  for (size_t p = 0; p < numbers.size(); ++p) {
    if (!lang::row_of(weight.format).parts[p].type) {
      format.type = types[numbers[p]];
    }
  }
  return format;
}

std::vector<Type> types_of(std::span<const View> inputs) {
  std::vector<Type> types;
  for (const View& view : inputs) {
    types.push_back(view.type);
  }
  return types;
}

/// A (..., M, K) view that is (M, K) in truth, or with `experts` (E, M, K).
MatrixPart
part_of(const View& view, bool experts, int64_t rows, int64_t width) {
  const size_t dims = view.shape.size();
  const size_t own = experts ? 3 : 2;
  if (dims < own || view.shape[dims - 2] != rows ||
      view.shape[dims - 1] != width ||
      std::any_of(view.shape.begin(), view.shape.end() - own, [](int64_t n) {
        return n != 1;
      })) {
    throw internal_error(
        "product: a part of a weight is not of {} rows of {}", rows, width);
  }
  if (width > 1 && view.strides[dims - 1] != 1) {
    throw internal_error("product: a weight must have adjacent columns");
  }
  const int64_t size = static_cast<int64_t>(lang::size_of(view.type));
  return {
      cpu::pointer<const std::byte>(view.data),
      view.strides[dims - 2] * size,
      experts ? view.strides[dims - 3] * size : 0};
}

/// The length of the rows of x that a weight is multiplied with.
int64_t width_of(const lang::Weight& weight, std::span<const View> inputs) {
  const auto numbers = lang::parts_of(weight);
  const int64_t columns = inputs[numbers[0]].shape.back();
  return weight.bits > 0 ? columns * 32 / weight.bits : columns;
}

Matrix matrix_of(const lang::Weight& weight, std::span<const View> inputs) {
  const auto numbers = lang::parts_of(weight);
  const View& first = inputs[numbers[0]];
  if (first.shape.size() < 2) {
    throw internal_error("product: a weight must have shape (M, K)");
  }
  Matrix matrix;
  matrix.format = format_of(weight, types_of(inputs));
  matrix.rows = first.shape[first.shape.size() - 2];
  matrix.width = width_of(weight, inputs);
  for (size_t p = 0; p < numbers.size(); ++p) {
    matrix.parts[p] = part_of(
        inputs[numbers[p]],
        weight.experts >= 0,
        matrix.rows,
        lang::columns(weight, p, matrix.width));
  }
  return matrix;
}

/// The weights and outputs of one M.
struct Segment {
  int64_t rows; // M
  int64_t row_bytes; // read and written for one row of all its weights
  std::vector<int> weights;
  cpu::BoundPasses store;
};

class ProductLaunch : public cpu::Launch {
 public:
  ProductLaunch(
      const lang::Program& program,
      std::span<const View> inputs,
      std::span<const View> outputs);

  void run(int part, int parts) const noexcept override;
  void prefetch(int part, int parts) const noexcept override;
  std::optional<Fault> fault() const override;

 private:
  static cpu::BoundPasses bind_row(
      const lang::Program& program,
      std::span<const View> inputs,
      std::span<const View> outputs,
      int64_t width);
  int64_t boundary(size_t segment, int part, int parts) const;
  void multiply_rows(
      int weight,
      const std::byte* prepared,
      int64_t row,
      int count,
      int64_t first,
      int64_t last,
      float* sums) const;
  void run_segment(
      const Segment& segment,
      int64_t first,
      int64_t last,
      int64_t row,
      int count,
      const std::byte* prepared,
      float* sums) const;

  std::vector<Matrix> weights_;
  std::vector<Format> formats_; // distinct ones
  std::vector<size_t> format_of_weight_;
  std::vector<size_t> prepared_at_; // of each format, within the scratch
  std::vector<std::optional<Experts>> experts_; // of each weight
  std::vector<Segment> segments_;
  cpu::BoundPasses row_;
  mutable cpu::FaultCell faults_;
  size_t prepared_size_ = 0; // of all formats
  int64_t total_bytes_ = 0;
};

cpu::BoundPasses ProductLaunch::bind_row(
    const lang::Program& program,
    std::span<const View> inputs,
    std::span<const View> outputs,
    int64_t width) {
  lang::Shape shape = outputs[0].shape;
  shape.back() = width;
  return {
      program.row.passes,
      program.row.slots,
      {inputs, {}, program.roles, shape}};
}

std::vector<Matrix> matrices_of(
    const lang::Program& program,
    std::span<const View> inputs) {
  std::vector<Matrix> matrices;
  for (const lang::Weight& weight : program.weights) {
    matrices.push_back(matrix_of(weight, inputs));
    if (matrices.back().width != matrices.front().width) {
      throw internal_error(
          "product: weights of {} and {} columns in one program",
          matrices.front().width,
          matrices.back().width);
    }
  }
  return matrices;
}

ProductLaunch::ProductLaunch(
    const lang::Program& program,
    std::span<const View> inputs,
    std::span<const View> outputs)
    : weights_(matrices_of(program, inputs)),
      row_(bind_row(program, inputs, outputs, weights_.front().width)) {
  for (const lang::Weight& weight : program.weights) {
    experts_.emplace_back();
    if (weight.experts >= 0) {
      const View& first = inputs[weight.parts[0]];
      experts_.back().emplace(
          inputs[weight.experts],
          outputs[0].shape,
          weight.parts[0],
          first.shape[first.shape.size() - 3]);
    }
  }
  for (const Matrix& weight : weights_) {
    const auto known =
        std::find(formats_.begin(), formats_.end(), weight.format);
    format_of_weight_.push_back(static_cast<size_t>(known - formats_.begin()));
    if (known == formats_.end()) {
      formats_.push_back(weight.format);
      prepared_at_.push_back(prepared_size_);
      prepared_size_ +=
          kRowsAtOnce * prepared_bytes(weight.format, weight.width);
    }
  }
  size_t placed = 0;
  for (const View& output : outputs) {
    const int64_t rows = output.shape.back();
    if (std::any_of(segments_.begin(), segments_.end(), [&](const auto& s) {
          return s.rows == rows;
        })) {
      continue;
    }
    const cpu::Binding store{
        inputs, outputs, program.roles, output.shape, cpu::Walk::Store};
    Segment segment{rows, 4, {}, {{&program.store, 1}, 0, store}};
    for (size_t t = 0; t < weights_.size(); ++t) {
      if (weights_[t].rows == rows) {
        segment.weights.push_back(static_cast<int>(t));
        segment.row_bytes += weights_[t].row_bytes();
      }
    }
    placed += segment.weights.size();
    total_bytes_ += segment.rows * segment.row_bytes;
    segments_.push_back(std::move(segment));
  }
  if (placed != weights_.size()) {
    throw internal_error("product: a weight whose rows no output has");
  }
}

/// The first row of a segment that belongs to `part` or a later one.
int64_t ProductLaunch::boundary(size_t segment, int part, int parts) const {
  int64_t bytes = total_bytes_ / parts * part;
  for (size_t s = 0; s < segment; ++s) {
    bytes -= segments_[s].rows * segments_[s].row_bytes;
  }
  const Segment& own = segments_[segment];
  if (part == parts) {
    return own.rows;
  }
  const int64_t units =
      (bytes + kUnit * own.row_bytes / 2) / (kUnit * own.row_bytes);
  return std::clamp<int64_t>(units * kUnit, 0, own.rows);
}

/// Rows first .. last of a weight with `count` rows of x from `row` on.
void ProductLaunch::multiply_rows(
    int weight,
    const std::byte* prepared,
    int64_t row,
    int count,
    int64_t first,
    int64_t last,
    float* sums) const {
  const Matrix& matrix = weights_[weight];
  prepared += prepared_at_[format_of_weight_[weight]];
  const auto& experts = experts_[weight];
  if (!experts) {
    multiply(matrix, prepared, count, first, last, sums, kPlaces);
    return;
  }
  for (int n = 0; n < count; ++n) {
    float* own = sums + n * kPlaces;
    if (const auto number = experts->of(row + n, faults_)) {
      multiply(matrix.expert(*number), prepared, 1, first, last, own, kPlaces);
    } else {
      std::fill_n(own, last - first, 0.f);
    }
    prepared += prepared_bytes(matrix.format, matrix.width);
  }
}

void ProductLaunch::run_segment(
    const Segment& segment,
    int64_t first,
    int64_t last,
    int64_t row,
    int count,
    const std::byte* prepared,
    float* sums) const {
  constexpr int kMost = 64; // weights of a program (see product_unsupported)
  const float* at[kMost] = {};
  for (int64_t m = first; m < last; m += kPlaces) {
    const int64_t end = std::min(m + kPlaces, last);
    for (size_t i = 0; i < segment.weights.size(); ++i) {
      multiply_rows(
          segment.weights[i],
          prepared,
          row,
          count,
          m,
          end,
          sums + i * kRowsAtOnce * kPlaces);
    }
    for (int n = 0; n < count; ++n) {
      for (size_t i = 0; i < segment.weights.size(); ++i) {
        at[segment.weights[i]] =
            sums + (i * kRowsAtOnce + static_cast<size_t>(n)) * kPlaces;
      }
      segment.store.run(row + n, m, end, {.accumulators = at});
    }
  }
}

void ProductLaunch::run(int part, int parts) const noexcept {
  prefetch(part, parts);
  const int64_t width = weights_.front().width;
  const size_t x_bytes = (static_cast<size_t>(width) * 4 + 63) / 64 * 64;
  std::byte* scratch = thread_scratch(
      x_bytes + prepared_size_ +
      weights_.size() * kRowsAtOnce * kPlaces * sizeof(float));
  float* x = reinterpret_cast<float*>(scratch);
  std::byte* prepared = scratch + x_bytes;
  float* sums = reinterpret_cast<float*>(prepared + prepared_size_);
  for (int64_t row = 0; row < row_.rows(); row += kRowsAtOnce) {
    const int count =
        static_cast<int>(std::min<int64_t>(kRowsAtOnce, row_.rows() - row));
    for (int n = 0; n < count; ++n) {
      row_.run(row + n, 0, width, {.out = x});
      for (size_t f = 0; f < formats_.size(); ++f) {
        prepare(
            formats_[f],
            x,
            width,
            prepared + prepared_at_[f] +
                static_cast<size_t>(n) * prepared_bytes(formats_[f], width));
      }
    }
    for (size_t s = 0; s < segments_.size(); ++s) {
      run_segment(
          segments_[s],
          boundary(s, part, parts),
          boundary(s, part + 1, parts),
          row,
          count,
          prepared,
          sums);
    }
  }
}

std::optional<Fault> ProductLaunch::fault() const {
  auto found = faults_.get();
  found = found ? found : row_.fault();
  for (const Segment& segment : segments_) {
    found = found ? found : segment.store.fault();
  }
  return found;
}

void ProductLaunch::prefetch(int part, int parts) const noexcept {
  const auto ask = [](const std::byte* from, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i += 64) {
      __builtin_prefetch(from + i);
    }
  };
  for (size_t s = 0; s < segments_.size(); ++s) {
    const int64_t first = boundary(s, part, parts);
    const int64_t rows = boundary(s, part + 1, parts) - first;
    for (const int t : segments_[s].weights) {
      const Matrix& weight = weights_[t];
      if (experts_[t]) {
        continue; // which one, an earlier launch may still have to say
      }
      int64_t most = kFirstBytes; // what follows the numbers is small
      for (const MatrixPart& p : weight.parts) {
        ask(p.data + first * p.stride, std::min(most, rows * p.stride));
        most = kFirstScales;
      }
    }
  }
}

class ProductExecutable : public cpu::Executable {
 public:
  explicit ProductExecutable(const lang::Program& program)
      : cpu::Executable(program) {}

  std::unique_ptr<cpu::Launch> bind(
      std::span<const View> inputs,
      std::span<const View> outputs) const override {
    return std::make_unique<ProductLaunch>(program(), inputs, outputs);
  }
};

bool is_fast_type(Type type) {
  return type == Type::F32 || type == Type::F16 || type == Type::BF16;
}

std::optional<std::string> weight_unsupported(
    const lang::Weight& weight,
    std::span<const Type> types) {
  const Format format = format_of(weight, types);
  if (!is_fast_type(format.type)) {
    return fmt::format("weights of type {}", lang::name_of(format.type));
  }
  const auto numbers = lang::parts_of(weight);
  for (size_t p = 0; p < numbers.size(); ++p) {
    if (types[numbers[p]] != format.type_of(p)) {
      return "scales and biases of different types";
    }
  }
  if (weight.format != WeightFormat::Affine) {
    return {};
  }
  // Others would be decoded number by number, and MLX is faster than that.
  if (format.bits != 2 && format.bits != 4 && format.bits != 8) {
    return fmt::format("affine weights of {} bits", format.bits);
  }
  if (format.group_size != 32 && format.group_size != 64 &&
      format.group_size != 128) {
    return fmt::format("affine weights in groups of {}", format.group_size);
  }
  return {};
}

bool multiplies_float64(const lang::Program& program) {
  for (const lang::Pass& pass : program.row.passes) {
    for (const lang::Store& store : pass.stores) {
      if (pass.code[store.value].type == Type::F64) {
        return true;
      }
    }
  }
  return false;
}

} // namespace

std::optional<std::string> product_unsupported(const lang::Program& program) {
  if (program.weights.empty() || program.weights.size() > 64) {
    return fmt::format(
        "a product of {} weights (1 to 64)", program.weights.size());
  }
  for (const lang::Weight& weight : program.weights) {
    if (auto reason = weight_unsupported(weight, program.inputs)) {
      return reason;
    }
  }
  if (multiplies_float64(program)) {
    return "a product with rows of float64";
  }
  return std::nullopt;
}

std::shared_ptr<const cpu::Executable> make_product(
    const lang::Program& program) {
  if (const auto reason = product_unsupported(program)) {
    throw internal_error("product: {}", *reason);
  }
  return std::make_shared<ProductExecutable>(program);
}

} // namespace zmlx::backend::stages
