#pragma once

#include <optional>

#include <mlx/mlx.h>

#include "zmlx/lang/lower/evaluate.h"
#include "zmlx/lang/type.h"
#include "zmlx/op/reference.h"

namespace zmlx::op {

namespace mx = mlx::core;

/// A value of a compute type over a space; its shape broadcasts to the space's.
/// A number has no type of its own until it meets one.
struct Value {
  mx::array a;
  std::optional<lang::lower_detail::Number> constant;
};

/// The types that values of a reference evaluation have, and the arrays that
/// they become.
class Conversions {
 public:
  /// `wide`: an input is float64, and so are numbers with a point.
  Conversions(Precision precision, bool wide, mx::Stream stream)
      : precision_(precision), wide_(wide), s_(stream) {}

  mx::Stream stream() const {
    return s_;
  }
  bool precise() const {
    return precision_ == Precision::Double;
  }

  /// What a value of a stored type is computed in.
  mx::Dtype compute(lang::Type type) const;
  mx::Dtype float_type() const {
    return compute(lang::Type::F32);
  }
  mx::Dtype own_type(const Value& v) const;
  /// The value in a type; in its own where none is given.
  mx::array array_of(const Value& v, std::optional<mx::Dtype> type = {}) const;
  /// The value as a float: in its own type where that is one.
  mx::array floating(const Value& v) const;
  /// The same, of an integer what numbers with a point are.
  mx::array real(const Value& v) const;
  /// Whether it differs from 0.
  mx::array truth(const Value& v) const;
  Value from_truth(const mx::array& b) const;

  /// As mx::astype; between floats and integers a constant to derivatives,
  /// where MLX's derivative is 1.
  mx::array converted(const mx::array& x, mx::Dtype type) const;
  /// In the type as it is stored.
  mx::array stored(const mx::array& x, lang::Type type) const;

 private:
  Precision precision_;
  bool wide_;
  mx::Stream s_;
};

} // namespace zmlx::op
