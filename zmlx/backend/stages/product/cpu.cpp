#include "zmlx/backend/stages/product/cpu.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "zmlx/backend/cpu/row_runner.h"
#include "zmlx/backend/faults.h"
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

bool is_weight_type(Type type) {
  return type == Type::F32 || type == Type::F16 || type == Type::BF16;
}

Format format_of(const lang::Weight& weight, std::span<const Type> types) {
  const bool dense = weight.format == WeightFormat::Dense;
  return {
      weight.format,
      types[dense ? weight.w : weight.scales],
      dense ? 0 : weight.bits,
      dense ? 0 : weight.group_size};
}

/// The rows of a (..., M, K) view that is (M, K) in truth.
struct Rows {
  const std::byte* data;
  int64_t rows, width, stride; // bytes
};

Rows rows_of(const View& view, const char* what) {
  const size_t dims = view.shape.size();
  if (dims < 2 ||
      std::any_of(view.shape.begin(), view.shape.end() - 2, [](int64_t n) {
        return n != 1;
      })) {
    throw internal_error("product: {} must have shape (M, K)", what);
  }
  const int64_t rows = view.shape[dims - 2];
  const int64_t width = view.shape[dims - 1];
  if (width > 1 && view.strides[dims - 1] != 1) {
    throw internal_error("product: {} must have adjacent columns", what);
  }
  return {
      static_cast<const std::byte*>(view.data),
      rows,
      width,
      view.strides[dims - 2] * static_cast<int64_t>(lang::size_of(view.type))};
}

Matrix matrix_of(const lang::Weight& weight, std::span<const View> inputs) {
  Matrix matrix;
  const Rows w = rows_of(inputs[weight.w], "a weight");
  matrix.rows = w.rows;
  matrix.width = w.width;
  matrix.w = w.data;
  matrix.w_stride = w.stride;
  if (weight.format == WeightFormat::Dense) {
    matrix.format = {WeightFormat::Dense, inputs[weight.w].type, 0, 0};
    return matrix;
  }
  const Rows scales = rows_of(inputs[weight.scales], "scales");
  const Rows biases = rows_of(inputs[weight.biases], "biases");
  matrix.format = {
      WeightFormat::Affine,
      inputs[weight.scales].type,
      weight.bits,
      weight.group_size};
  matrix.width = scales.width * weight.group_size;
  matrix.scales = scales.data;
  matrix.scales_stride = scales.stride;
  matrix.biases = biases.data;
  matrix.biases_stride = biases.stride;
  if (scales.rows != w.rows || biases.rows != w.rows ||
      biases.width != scales.width ||
      w.width * 32 != matrix.width * weight.bits) {
    throw internal_error(
        "product: weight ({}, {}), scales ({}, {}) and biases ({}, {}) do not "
        "belong together at {} bits, groups of {}",
        w.rows,
        w.width,
        scales.rows,
        scales.width,
        biases.rows,
        biases.width,
        weight.bits,
        weight.group_size);
  }
  return matrix;
}

/// The weights and outputs of one M.
struct Segment {
  int64_t rows; // M
  int64_t row_bytes; // read and written for one row of all its weights
  std::vector<int> weights;
  cpu::StoreRunner store;
};

class ProductLaunch : public Launch {
 public:
  ProductLaunch(
      const lang::Program& program,
      std::span<const View> inputs,
      std::span<const View> outputs);

  void run(int part, int parts) const noexcept override;
  void prefetch(int part, int parts) const noexcept override;
  std::optional<Fault> fault() const override;

 private:
  static cpu::RowRunner bind_row(
      const lang::Program& program,
      std::span<const View> inputs,
      std::span<const View> outputs,
      int64_t width);
  int64_t boundary(size_t segment, int part, int parts) const;
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
  std::vector<Segment> segments_;
  cpu::RowRunner row_;
  size_t prepared_size_ = 0; // of all formats
  int64_t total_bytes_ = 0;
};

cpu::RowRunner ProductLaunch::bind_row(
    const lang::Program& program,
    std::span<const View> inputs,
    std::span<const View> outputs,
    int64_t width) {
  lang::Shape shape = outputs[0].shape;
  shape.back() = width;
  return cpu::RowRunner(program, inputs, {}, shape);
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
    Segment segment{
        rows, 4, {}, cpu::StoreRunner(program, inputs, outputs, output.shape)};
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
      const int t = segment.weights[i];
      multiply(
          weights_[t],
          prepared + prepared_at_[format_of_weight_[t]],
          count,
          m,
          end,
          sums + i * kRowsAtOnce * kPlaces,
          kPlaces);
    }
    for (int n = 0; n < count; ++n) {
      for (size_t i = 0; i < segment.weights.size(); ++i) {
        at[segment.weights[i]] =
            sums + (i * kRowsAtOnce + static_cast<size_t>(n)) * kPlaces;
      }
      segment.store.run(row + n, m, end, at);
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
      row_.run(row + n, x);
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
  auto found = row_.fault();
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
      ask(weight.w + first * weight.w_stride,
          std::min(kFirstBytes, rows * weight.w_stride));
      ask(weight.scales + first * weight.scales_stride,
          std::min(kFirstScales, rows * weight.scales_stride));
      ask(weight.biases + first * weight.biases_stride,
          std::min(kFirstScales, rows * weight.biases_stride));
    }
  }
}

class ProductExecutable : public Executable {
 public:
  explicit ProductExecutable(const lang::Program& program)
      : program_(program) {}

  std::unique_ptr<Launch> bind(
      std::span<const View> inputs,
      std::span<const View> outputs) const override {
    return std::make_unique<ProductLaunch>(program_, inputs, outputs);
  }
  bool can_fault() const override {
    return backend::can_fault(program_);
  }

 private:
  lang::Program program_;
};

} // namespace

std::optional<std::string> product_unsupported(const lang::Program& program) {
  if (program.weights.empty() || program.weights.size() > 64) {
    return fmt::format(
        "a product of {} weights (1 to 64)", program.weights.size());
  }
  for (const lang::Weight& weight : program.weights) {
    const Format format = format_of(weight, program.inputs);
    if (!is_weight_type(format.type)) {
      return fmt::format("weights of type {}", lang::name_of(format.type));
    }
    if (weight.format == WeightFormat::Dense) {
      continue;
    }
    if (program.inputs[weight.biases] != format.type) {
      return "scales and biases of different types";
    }
    if (format.bits != 2 && format.bits != 4 && format.bits != 8) {
      return fmt::format("affine weights of {} bits", format.bits);
    }
    if (format.group_size != 32 && format.group_size != 64 &&
        format.group_size != 128) {
      return fmt::format("affine weights in groups of {}", format.group_size);
    }
  }
  return std::nullopt;
}

std::shared_ptr<const Executable> make_product(const lang::Program& program) {
  if (const auto reason = product_unsupported(program)) {
    throw internal_error("product: {}", *reason);
  }
  return std::make_shared<ProductExecutable>(program);
}

} // namespace zmlx::backend::stages
