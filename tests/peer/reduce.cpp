#include "tests/peer/registers.h"
#include "zmlx/base/errors.h"

namespace zmlx::test_peer {
namespace {

using lang::Op;
using lang::ScanOrder;

/// What sums of Ts are kept in: float64, or integers that wrap.
template <typename T>
using Sum = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;

template <typename T>
T sum(const Register& value, int64_t width) {
  Sum<T> total = 0;
  for (int64_t i = 0; i < width; ++i) {
    total += static_cast<Sum<T>>(value.get<T>(i));
  }
  return static_cast<T>(total);
}

template <typename T>
T product(const Register& value, int64_t width) {
  Sum<T> total = 1;
  for (int64_t i = 0; i < width; ++i) {
    total *= static_cast<Sum<T>>(value.get<T>(i));
  }
  return static_cast<T>(total);
}

/// The first place of the value that is wanted: the largest, or the smallest.
/// NaN is larger than all numbers; `nan_wins` prefers it in either case. -1 of
/// no places.
template <typename T>
int64_t
find_best(const Register& value, int64_t width, bool largest, bool nan_wins) {
  const auto before = [&](T x, T y) {
    const bool x_is_nan = x != x, y_is_nan = y != y;
    if (x_is_nan || y_is_nan) {
      return largest || nan_wins ? x_is_nan && !y_is_nan
                                 : y_is_nan && !x_is_nan;
    }
    return largest ? x > y : x < y;
  };
  int64_t best = width > 0 ? 0 : -1;
  for (int64_t i = 1; i < width; ++i) {
    if (before(value.get<T>(i), value.get<T>(best))) {
      best = i;
    }
  }
  return best;
}

template <typename T>
T extreme(const Register& value, int64_t width, bool largest) {
  using Limits = std::numeric_limits<T>;
  const int64_t best = find_best<T>(value, width, largest, true);
  if (best >= 0) {
    return value.get<T>(best);
  }
  if constexpr (Limits::has_infinity) {
    return largest ? -Limits::infinity() : Limits::infinity();
  } else {
    return largest ? Limits::lowest() : Limits::max();
  }
}

template <typename T>
T reduced(Op op, const Register& value, int64_t width) {
  switch (op) {
    case Op::Sum:
      return sum<T>(value, width);
    case Op::Prod:
      return product<T>(value, width);
    case Op::MaxOf:
      return extreme<T>(value, width, true);
    case Op::MinOf:
      return extreme<T>(value, width, false);
    default:
      throw internal_error("test peer: no reduction {}", lang::name_of(op));
  }
}

} // namespace

Register reduce(Op op, const Register& value, int64_t width) {
  const bool place = op == Op::ArgMax || op == Op::ArgMin;
  Register result(place ? lang::Type::U32 : value.type(), true, width);
  with_register_type(value.type(), [&](auto zero) {
    using T = decltype(zero);
    if (place) {
      const int64_t best = find_best<T>(value, width, op == Op::ArgMax, false);
      result.set<uint32_t>(0, best < 0 ? 0 : static_cast<uint32_t>(best));
    } else {
      result.set<T>(0, reduced<T>(op, value, width));
    }
  });
  return result;
}

void scan(ScanOrder order, const Register& value, Register& result) {
  const bool reverse =
      order == ScanOrder::Reverse || order == ScanOrder::ReverseExclusive;
  const bool exclusive = order == ScanOrder::ForwardExclusive ||
      order == ScanOrder::ReverseExclusive;
  with_register_type(value.type(), [&](auto zero) {
    using T = decltype(zero);
    Sum<T> before = 0;
    for (int64_t i = 0; i < result.count(); ++i) {
      const int64_t place = reverse ? result.count() - 1 - i : i;
      const Sum<T> after = before + static_cast<Sum<T>>(value.get<T>(place));
      result.set<T>(place, static_cast<T>(exclusive ? before : after));
      before = after;
    }
  });
}

} // namespace zmlx::test_peer
