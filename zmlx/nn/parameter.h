#pragma once

#include <string>
#include <utility>
#include <vector>

#include <mlx/mlx.h>

#include "zmlx/export.h"

namespace zmlx::nn {

namespace mx = mlx::core;

/// Weight arrays with their names in the model's file.
using NamedArrays = std::vector<std::pair<std::string, mx::array>>;

/// One weight array, cast once to the type that the layers compute in and
/// evaluated when it is made, in the thread that makes it.
class ZMLX_API Parameter {
 public:
  /// Floating arrays are cast to `compute`; packed integers stay as they are.
  Parameter(const mx::array& stored, mx::Dtype compute);

  const mx::array& get() const {
    return value_;
  }

  void collect(const std::string& name, NamedArrays& out) const {
    out.emplace_back(name, value_);
  }

 private:
  mx::array value_;
};

/// The type that layers compute in for weights of type `stored`: float32 on the
/// CPU, where MLX's 16-bit kernels are ten times slower, else `stored` itself.
ZMLX_API mx::Dtype compute_dtype(mx::Dtype stored);

} // namespace zmlx::nn
