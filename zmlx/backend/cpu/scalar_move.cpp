// Loads, stores and reductions of every type and stride: what the vectorised
// ones leave.
#include "zmlx/backend/cpu/scalar.h"
#include "zmlx/backend/cpu/vector.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Op;
using lang::Type;

template <typename Out, typename T>
void load(void* out, const void* in, int64_t stride, size_t n) noexcept {
  const T* from = static_cast<const T*>(in);
  Out* to = static_cast<Out*>(out);
  with_layout(stride, ~size_t{0}, [=](auto step, auto /*all*/) {
    for (size_t i = 0; i < n; ++i) {
      to[i] = read<Out>(from[static_cast<int64_t>(i) * step]);
    }
  });
}

template <typename T, typename From>
void store(const StoreArgs& a) noexcept {
  T* to = static_cast<T*>(a.out);
  const From* from = static_cast<const From*>(a.in);
  with_layout(a.stride, a.mask, [=, n = a.n](auto step, auto mask) {
    for (size_t i = 0; i < n; ++i) {
      to[static_cast<int64_t>(i) * step] = written<T>(from[i & mask]);
    }
  });
}

// ------------------------------------------------------------ reductions

// What holds a value of T: sums of floats are kept in float64, of integers
// modulo 2^64.
template <typename T, typename A>
auto& state(A& a) {
  if constexpr (std::is_floating_point_v<T>) {
    return a.real;
  } else {
    return a.bits;
  }
}

template <typename T, Op kOp>
void start(Accumulator& a) noexcept {
  using Limits = std::numeric_limits<T>;
  constexpr bool real = std::is_floating_point_v<T>;
  a = Accumulator();
  if constexpr (kOp == Op::Prod) {
    state<T>(a) = 1;
  } else if constexpr (kOp == Op::MaxOf) {
    state<T>(a) = real ? -Limits::infinity() : Limits::lowest();
  } else if constexpr (kOp == Op::MinOf) {
    state<T>(a) = real ? Limits::infinity() : Limits::max();
  }
}

template <typename T, Op kOp>
void add_one(Accumulator& a, T x, int64_t place) {
  auto& best = state<T>(a);
  if constexpr (kOp == Op::Sum) {
    best += x;
  } else if constexpr (kOp == Op::Prod) {
    best *= x;
  } else if (improves<kOp>(x, place, static_cast<T>(best), a.at)) {
    best = x;
    a.at = place;
  }
}

template <typename T, Op kOp>
void add(const ReduceArgs& r) noexcept {
  const T* in = static_cast<const T*>(r.in);
  for (size_t i = 0; i < r.n; ++i) {
    add_one<T, kOp>(*r.into, in[i & r.mask], r.first + static_cast<int64_t>(i));
  }
}

template <typename T, Op kOp>
void finish(const Accumulator& a, void* out) noexcept {
  for (size_t i = 0; i < kUniformLanes; ++i) {
    if constexpr (kOp == Op::ArgMax || kOp == Op::ArgMin) {
      static_cast<uint32_t*>(out)[i] = a.at < 0 ? 0 : uint32_t(a.at);
    } else {
      static_cast<T*>(out)[i] = static_cast<T>(state<T>(a));
    }
  }
}

// Pairs of lanes, in an order that is fixed.
template <typename T, typename F>
T fold(const Partial& part, F f) {
  T lanes[Partial::kLanes];
  std::copy_n(part.lanes, Partial::kLanes, lanes);
  for (int half = Partial::kLanes / 2; half > 0; half /= 2) {
    for (int k = 0; k < half; ++k) {
      lanes[k] = f(lanes[k], lanes[k + half]);
    }
  }
  return lanes[0];
}

template <Op kOp>
void join(Accumulator& a, const Partial& part) noexcept {
  if constexpr (kOp == Op::Sum) {
    a.real += fold<double>(part, [](double x, double y) { return x + y; });
  } else {
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    const float best = fold<float>(part, [](float x, float y) {
      return kOp == Op::MaxOf ? std::max(x, y) : std::min(x, y);
    });
    add_one<float, kOp>(a, part.nan ? kNan : best, 0);
  }
}

// The one of these operations; nothing where it is none of them.
template <Op... kOp>
ReduceOp reduction(Op op, Type type) {
  return with_register_type(type, [op](auto x) {
    using T = decltype(x);
    ReduceOp found;
    const auto is_it = [&](Op each, const ReduceOp& functions) {
      found = op == each ? functions : found;
    };
    (is_it(kOp, {&start<T, kOp>, &add<T, kOp>, &finish<T, kOp>}), ...);
    return found;
  });
}

} // namespace

LoadOp find_load(Type stored, bool contiguous) {
  if (contiguous) {
    if (LoadOp op = vector_load(stored)) {
      return op;
    }
  }
  return with_register_type(
      register_type(lang::compute_type(stored)), [stored](auto x) {
        using Out = decltype(x);
        return with_stored_type(
            stored, [](auto y) -> LoadOp { return &load<Out, decltype(y)>; });
      });
}

StoreOp find_store(Type from, Type stored, bool contiguous) {
  if (contiguous && register_type(from) == Type::F32) {
    if (StoreOp op = vector_store(stored)) {
      return op;
    }
  }
  return with_register_type(register_type(from), [stored](auto x) {
    using From = decltype(x);
    return with_stored_type(
        stored, [](auto y) -> StoreOp { return &store<decltype(y), From>; });
  });
}

ReduceOp find_reduction(Op op, Type type) {
  ReduceOp result = reduction<
      Op::Sum,
      Op::Prod,
      Op::MaxOf,
      Op::MinOf,
      Op::ArgMax,
      Op::ArgMin>(op, register_type(type));
  if (register_type(type) == Type::F32) {
    if (AddOp vectorised = vector_reduction(op)) {
      result.add = vectorised;
    }
    result.join = op == Op::Sum ? &join<Op::Sum>
        : op == Op::MaxOf       ? &join<Op::MaxOf>
        : op == Op::MinOf       ? &join<Op::MinOf>
                                : nullptr;
  }
  return result;
}

} // namespace zmlx::backend::cpu
