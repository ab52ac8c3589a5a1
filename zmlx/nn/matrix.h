#pragma once

#include <optional>
#include <string>

#include "zmlx/nn/parameter.h"

namespace zmlx::nn {

/// How the rows of a matrix are packed, in the words of mx::quantize.
struct Packing {
  int group_size = 64;
  int bits = 4;
  std::string mode = "affine"; // or "mxfp4"
};

/// A matrix of `rows` outputs by `columns` inputs: dense (rows, columns) in a
/// floating type, or packed: weight (rows, columns * bits / 32) uint32, scales
/// (rows, columns / group_size), and for the affine mode biases of that shape.
class ZMLX_API Matrix {
 public:
  /// Dense. InternalError unless `weight` has two dimensions.
  explicit Matrix(Parameter weight);
  /// Packed. InternalError when the shapes do not fit together.
  Matrix(
      Parameter weight,
      Parameter scales,
      std::optional<Parameter> biases,
      Packing packing);

  int rows() const {
    return rows_;
  }
  int columns() const {
    return columns_;
  }
  /// The type of take(), and of apply() to an x of that type.
  mx::Dtype compute_dtype() const {
    return compute_;
  }
  bool packed() const {
    return scales_.has_value();
  }

  /// x (..., columns) -> x times the transpose (..., rows), plus `bias` (rows).
  mx::array apply(
      const mx::array& x,
      const std::optional<Parameter>& bias = std::nullopt) const;

  /// The rows of the given indices (...) as numbers: (..., columns).
  mx::array take(const mx::array& indices) const;

  void collect(const std::string& name, NamedArrays& out) const;

 private:
  Parameter weight_;
  std::optional<Parameter> scales_;
  std::optional<Parameter> biases_;
  Packing packing_;
  mx::Dtype compute_;
  int rows_;
  int columns_;
};

} // namespace zmlx::nn
