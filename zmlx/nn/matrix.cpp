#include "zmlx/nn/matrix.h"

#include "zmlx/base/errors.h"
#include "zmlx/nn/fast.h"

namespace zmlx::nn {

namespace {

int columns_of(const Parameter& weight, int bits) {
  if (weight.get().ndim() != 2) {
    throw internal_error(
        "a matrix has two dimensions, got {}", weight.get().ndim());
  }
  return static_cast<int>(int64_t{weight.get().shape(1)} * 32 / bits);
}

void check_scales(const mx::array& scales, int rows, int groups) {
  if (scales.shape() != mx::Shape{rows, groups}) {
    throw internal_error(
        "scales of a packed matrix must be ({}, {}), got {} dimensions and {} "
        "elements",
        rows,
        groups,
        scales.ndim(),
        scales.size());
  }
}

} // namespace

Matrix::Matrix(Parameter weight)
    : weight_(std::move(weight)),
      compute_(weight_.get().dtype()),
      rows_(weight_.get().shape(0)),
      columns_(columns_of(weight_, 32)) {}

Matrix::Matrix(
    Parameter weight,
    Parameter scales,
    std::optional<Parameter> biases,
    Packing packing)
    : weight_(std::move(weight)),
      scales_(std::move(scales)),
      biases_(std::move(biases)),
      packing_(std::move(packing)),
      // mxfp4 keeps its scales as bytes; what comes out is the caller's x type.
      compute_(
          biases_ ? biases_->get().dtype() : nn::compute_dtype(mx::bfloat16)),
      rows_(weight_.get().shape(0)),
      columns_(columns_of(weight_, packing_.bits)) {
  const int groups = columns_ / packing_.group_size;
  check_scales(scales_->get(), rows_, groups);
  if (biases_) {
    check_scales(biases_->get(), rows_, groups);
  }
}

mx::array Matrix::apply(
    const mx::array& x,
    const std::optional<Parameter>& bias) const {
  if (!packed()) {
    auto transposed = mx::transpose(weight_.get());
    return bias ? mx::addmm(bias->get(), x, transposed)
                : mx::matmul(x, transposed);
  }
  auto y = mx::quantized_matmul(
      x,
      weight_.get(),
      scales_->get(),
      biases_ ? std::optional(biases_->get()) : std::nullopt,
      /* transpose = */ true,
      packing_.group_size,
      packing_.bits,
      packing_.mode);
  return bias ? mx::add(y, bias->get()) : y;
}

mx::array Matrix::take(const mx::array& indices) const {
  auto rows = [&](const Parameter& p) {
    auto taken = mx::take(p.get(), indices, 0);
    return mx::issubdtype(taken.dtype(), mx::floating)
        ? mx::astype(taken, compute_)
        : taken;
  };
  if (!packed()) {
    return rows(weight_);
  }
  auto y = fast().dequantize(
      rows(weight_),
      rows(*scales_),
      biases_ ? std::optional(rows(*biases_)) : std::nullopt,
      packing_.group_size,
      packing_.bits,
      packing_.mode);
  return mx::astype(y, compute_);
}

void Matrix::collect(const std::string& name, NamedArrays& out) const {
  weight_.collect(name + ".weight", out);
  if (scales_) {
    scales_->collect(name + ".scales", out);
  }
  if (biases_) {
    biases_->collect(name + ".biases", out);
  }
}

} // namespace zmlx::nn
