#pragma once

#include <memory>
#include <string>
#include <vector>

#include <mlx/mlx.h>

#include "zmlx/op/call.h"

namespace zmlx::op {

/// A body around one product of an input with a dense weight, in two parts:
/// MLX's matrix product, stored in its own type, and a kernel that reads it.
/// This is how a body runs that reduces over the places of its product, for
/// which the language has no stage, and how the gradient of one with a product
/// is made of kernels.
struct Split {
  int x = -1; // the input that is multiplied
  int w = -1; // the weight (M, K)
  bool reduces = false; // over the product's places
  std::vector<int> kept; // inputs of the rest; the product follows them
  std::shared_ptr<const Call> rest;
};

/// Null where the body has not exactly one product, where that is not of an
/// input that only it reads and a dense weight, or where outputs are sums.
std::shared_ptr<const Split> split_product(
    const std::string& kernel,
    const lang::Body& body,
    const lang::Attributes& attributes);

/// The outputs, of these types, as nodes of MLX's graph.
std::vector<mx::array> apply_split(
    const Split& split,
    const std::vector<mx::array>& inputs,
    const std::vector<mx::Dtype>& types,
    mx::StreamOrDevice stream);

} // namespace zmlx::op
