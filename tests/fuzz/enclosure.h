#pragma once

#include <vector>

#include <mlx/mlx.h>

#include "tests/fuzz/interval.h"
#include "tests/fuzz/whole.h"
#include "zmlx/lang/kernel.h"

namespace zmlx::fuzz {

namespace mx = mlx::core;

/// The values of an array, or what they may be: floats as intervals, integers
/// as numbers or nothing where they may be any.
struct Values {
  lang::Type type = lang::Type::F32;
  /// Numbers of a formula that have not met a type; `type` is F64 or I64.
  bool weak = false;
  std::vector<Interval> floats;
  std::vector<std::optional<Wide>> wholes;

  bool is_float() const {
    return lang::is_float(type);
  }
  size_t size() const {
    return is_float() ? floats.size() : wholes.size();
  }
};

/// Of an array as it is.
Values values_of(const mx::array& a);

/// What each element of the outputs may be: an interpreter of the language of
/// its own, place by place, from the comments of lang/expr.h and lang/kernel.h,
/// in intervals (tests/fuzz/interval.h). Holds the answers of Precision::Double
/// and of any peer, before they are stored: see stored(). Bodies without
/// products, attention and top-k.
std::vector<Values> enclose(
    const lang::Body& body,
    const std::vector<mx::array>& inputs);

/// The values in the type of an output.
Values stored(const Values& values, lang::Type type);

} // namespace zmlx::fuzz
