#pragma once

#include "zmlx/nn/matrix.h"

namespace zmlx::nn {

/// y = x W^T + b, as mlx.nn's Linear and QuantizedLinear.
class Linear {
 public:
  Linear(Matrix matrix, std::optional<Parameter> bias)
      : matrix_(std::move(matrix)), bias_(std::move(bias)) {}

  /// x (..., columns) -> (..., rows).
  mx::array operator()(const mx::array& x) const {
    return matrix_.apply(x, bias_);
  }

  void collect(const std::string& name, NamedArrays& out) const {
    matrix_.collect(name, out);
    if (bias_) {
      bias_->collect(name + ".bias", out);
    }
  }

 private:
  Matrix matrix_;
  std::optional<Parameter> bias_;
};

} // namespace zmlx::nn
