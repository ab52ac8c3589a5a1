#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include <mlx/mlx.h>

#include "zmlx/export.h"

namespace zmlx::measure {

namespace mx = mlx::core;

/// What an operation does to its values decides how far it may be from the
/// exact answer.
enum class OpClass {
  /// Moves, selects or compares values: no difference is allowed.
  exact,
  /// Each result from a few values: rounded once where it is stored.
  map,
  /// Sums, norms, softmax over a row: the order of a sum is free.
  row,
  /// Products of matrices with float32 sums, attention.
  product,
};

/// |got - want| <= relative * |want| + absolute * magnitude + the step between
/// the stored type's numbers next to zero. The magnitude is 1
/// for a map and the largest |want| of the array for a row or a product, whose
/// terms cancel.
struct Tolerance {
  double relative = 0;
  double absolute = 0;
};

/// The one table of what may differ, read by tests and by `validate`: results
/// are computed in float32 (float64 for float64) and rounded to `stored` once.
/// Integers and bool are exact. UserError for complex64.
ZMLX_API Tolerance tolerance(mx::Dtype stored, OpClass op);

/// How an array compares with what it should be.
struct ZMLX_API Comparison {
  std::size_t size = 0;
  std::size_t mismatches = 0;
  /// Largest |got - want| as a share of what is allowed; above 1 fails. Only
  /// an exact class has infinity here.
  double worst = 0;
  std::size_t worst_index = 0; // row-major
  double worst_got = 0;
  double worst_want = 0;

  bool ok() const {
    return mismatches == 0;
  }
  /// "3 of 4096 differ; worst at 17: got 1.25, expected 1.5 (9.1 x allowed)".
  std::string to_string() const;
};

/// Compares `got`, in the type it is stored in, with `want`, in any type, most
/// often float64. NaN equals NaN alone. A value beyond the largest of the
/// stored type equals infinity. `magnitude` replaces the one of Tolerance.
/// Evaluates both. UserError where the shapes differ.
ZMLX_API Comparison compare(
    const mx::array& got,
    const mx::array& want,
    OpClass op,
    std::optional<double> magnitude = std::nullopt);

} // namespace zmlx::measure
