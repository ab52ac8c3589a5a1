#pragma once

#include <unordered_set>
#include <vector>

#include <mlx/mlx.h>

#include "zmlx/lang/kernel.h"

namespace zmlx::op {

namespace mx = mlx::core;

/// The shapes over which the trees of a body are evaluated. Body and inputs
/// must outlive it; infer_shapes has accepted them.
class Spaces {
 public:
  Spaces(const lang::Body& body, const std::vector<mx::array>& inputs)
      : body_(body), inputs_(inputs) {}

  /// The places of the tree of an output: with a product or an attention what
  /// the tree says alone, else what all inputs of the body meet in.
  mx::Shape of_output(const lang::Expr& tree) const;

  /// The places of the row of a product, of at least one axis.
  mx::Shape of_row(const lang::Expr& row) const;

  /// The same where its rows have met what says which matrix each takes.
  mx::Shape of_product(const lang::Node& product) const;

  /// How an input meets the others, if it had this shape.
  mx::Shape meeting(int input, const mx::Shape& shape) const;
  mx::Shape meeting(int input) const {
    return meeting(input, inputs_[input].shape());
  }

 private:
  struct Growth {
    mx::Shape space;
    bool has_stage = false; // a product or an attention
    std::unordered_set<const lang::Node*> seen;
  };
  void grow(const lang::Expr& e, Growth& growth) const;

  const lang::Body& body_;
  const std::vector<mx::array>& inputs_;
};

} // namespace zmlx::op
