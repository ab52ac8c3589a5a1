#pragma once

#include <limits>

#include "zmlx/lang/expr.h"

/// Intervals of floats that hold what any careful arithmetic may give: the
/// exact value of an operation on members of its operands' intervals, and that
/// value computed in the operation's type. Everything is wider than it must be,
/// never narrower.
///
/// What "careful" means, u the unit roundoff of the type (2^-24 for float32):
/// - arithmetic and square roots are rounded once: u;
/// - other functions are within 5 units in the last place, 10 u, and may flush
///   results below 2^-126 to zero; exp and sigmoid, whose argument is reduced,
///   within (10 + |x|) u (MLX's exp has 2 u + 0.75 |x| u), and exp may be
///   infinite from half of the largest number on, as MLX's; sin and cos, for
///   arguments up to 30000, and erf (MLX's has 9 u) within 10 u of 1;
/// - a sum of n terms, in any order, is within n u of the sum of their
///   magnitudes (Higham, Accuracy and Stability of Numerical Algorithms, 4.2),
///   a product of n factors within n u of itself.
namespace zmlx::fuzz {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// low > high: no number at all.
struct Interval {
  double low = kInfinity;
  double high = -kInfinity;
  bool nan = false; // may be NaN

  bool empty() const {
    return low > high;
  }
  bool point() const {
    return low == high && !nan;
  }
  bool has(double x) const {
    return low <= x && x <= high;
  }
  bool operator==(const Interval&) const = default;
};

/// Whether the answer is certain to 2^-8 of itself.
bool is_sharp(const Interval& x);

inline Interval only(double x) {
  return x == x ? Interval{x, x} : Interval{kInfinity, -kInfinity, true};
}
/// Every number and NaN.
inline constexpr Interval kAnything{-kInfinity, kInfinity, true};

Interval hull(const Interval& a, const Interval& b);

/// The number as one of the type: a point where the type holds it.
Interval stored_in(const Interval& x, lang::Type compute);

/// An operation of one or two operands on floats of a compute type, F32 or F64.
/// Comparisons and Select are not among them.
Interval
apply(lang::Op op, lang::Type type, const Interval& a, const Interval& b = {});

/// x rounded to a stored float type.
Interval rounded(lang::Type stored, const Interval& x);

/// A sum of any number of terms in any order; a product likewise.
class Total {
 public:
  Total(lang::Op op, lang::Type type) : op_(op), type_(type) {}
  void add(const Interval& x);
  Interval result() const;

 private:
  lang::Op op_; // Sum or Prod
  lang::Type type_;
  Interval exact_ = {};
  double magnitude_ = 0; // of a sum's terms together
  double above_ = 1, below_ = 1; // of a product's factors beyond 1
  int terms_ = 0;
};

} // namespace zmlx::fuzz
