#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/types/numbers.h"

namespace zmlx::types {

/// What a function of the language is, by C++'s arithmetic: on real numbers,
/// exactly and in the type that it is computed in, and on integers.
struct Function {
  std::string name; // in formula_functions(), or an operator
  std::string formula; // of a, b and c
  int arity = 1;
  std::function<Real(Real, Real, Real)> exact;
  std::function<float(float, float, float)> in_float;
  std::function<double(double, double, double)> in_double;
  /// Null where integers make a float.
  std::function<Whole(Whole, Whole, Whole)> whole;
  bool truth = false; // gives 0 or 1 of whatever types
};

/// Functions of the values at one place, without conversions.
const std::vector<Function>& functions();

} // namespace zmlx::types
