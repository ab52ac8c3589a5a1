#pragma once

#include "zmlx/nn/matrix.h"

namespace zmlx::nn {

/// One row per token, as mlx.nn's Embedding and QuantizedEmbedding.
class Embedding {
 public:
  explicit Embedding(Matrix matrix) : matrix_(std::move(matrix)) {}

  /// tokens (B, L) -> (B, L, columns).
  mx::array operator()(const mx::array& tokens) const {
    return matrix_.take(tokens);
  }

  /// The head of a model that ties it to its embedding: x (..., columns) ->
  /// logits (..., rows).
  mx::array as_linear(const mx::array& x) const {
    return matrix_.apply(x);
  }

  /// The type of what comes out.
  mx::Dtype dtype() const {
    return matrix_.compute_dtype();
  }

  void collect(const std::string& name, NamedArrays& out) const {
    matrix_.collect(name, out);
  }

 private:
  Matrix matrix_;
};

} // namespace zmlx::nn
