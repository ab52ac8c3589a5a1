#pragma once

#include <string>
#include <vector>

#include <mlx/mlx.h>

#include "zmlx/lang/type.h"

/// Arrays of every type, and the numbers in them. A Real holds every value of
/// every type exactly.
namespace zmlx::types {

namespace mx = mlx::core;
using lang::Type;

using Real = long double;
__extension__ typedef __int128 Whole;

const std::vector<Type>& all_types();

/// The numbers that tests of one value use: small ones, ends of the range,
/// and of floats infinities, NaN and zero with a sign.
std::vector<Real> values_of(Type type);

/// Numbers outside the type are converted as C++ converts.
mx::array array_of(Type type, const std::vector<Real>& values);
std::vector<Real> values_in(const mx::array& a);

/// The integer that is left of x in an integer type of MLX; 0 or 1 in bool.
Real wrapped(Type type, Whole x);

/// How far the results of a comparison were from right, and how many there
/// were: what a test prints and asserts.
struct Tally {
  long long cases = 0;
  long long wrong = 0;

  /// Counts a case; the first few wrong ones are failures of the test.
  void count(bool right, const std::string& what);
};

/// |got - want| within the table of measure/tolerance.h for the type in which
/// the result is stored. `magnitude` is that of the terms of a sum.
bool is_near(mx::Dtype stored, Real got, Real want);
bool is_near_in_row(mx::Dtype stored, Real got, Real want, Real magnitude);

} // namespace zmlx::types
