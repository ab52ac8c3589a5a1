// Loads, stores and reductions of every type and stride, one element at a
// time: what the vectorised ones leave.
#include <cstring>

#include "zmlx/backend/cpu/half.h"
#include "zmlx/backend/cpu/scalar.h"
#include "zmlx/backend/cpu/vector.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Op;
using lang::Type;

struct Float16 {
  uint16_t bits;
};
struct Bfloat16 {
  uint16_t bits;
};
struct Boolean {
  uint8_t byte;
};

template <typename Out, typename T>
Out read(T x) {
  if constexpr (std::is_same_v<T, Float16>) {
    return from_float16(x.bits);
  } else if constexpr (std::is_same_v<T, Bfloat16>) {
    return from_bfloat16(x.bits);
  } else if constexpr (std::is_same_v<T, Boolean>) {
    return x.byte != 0;
  } else {
    return x;
  }
}

template <typename T, typename From>
T written(From x) {
  if constexpr (std::is_same_v<T, Float16>) {
    return {to_float16(static_cast<float>(x))};
  } else if constexpr (std::is_same_v<T, Bfloat16>) {
    return {to_bfloat16(static_cast<float>(x))};
  } else if constexpr (std::is_same_v<T, Boolean>) {
    return {static_cast<uint8_t>(x != 0)};
  } else {
    return convert<T>(x);
  }
}

template <typename F>
auto with_stored_type(Type type, F f) {
  // clang-format off
  switch (type) {
    case Type::Bool: return f(Boolean());
    case Type::U8: return f(uint8_t());
    case Type::I8: return f(int8_t());
    case Type::U16: return f(uint16_t());
    case Type::I16: return f(int16_t());
    case Type::F16: return f(Float16());
    case Type::BF16: return f(Bfloat16());
    default: return with_register_type(type, f);
  }
  // clang-format on
}

template <typename Out, typename T>
void load(void* out, const void* in, int64_t stride, size_t n) noexcept {
  const T* from = static_cast<const T*>(in);
  Out* to = static_cast<Out*>(out);
  for (size_t i = 0; i < n; ++i) {
    to[i] = read<Out>(from[static_cast<int64_t>(i) * stride]);
  }
}

template <typename T, typename From>
void store(const StoreArgs& a) noexcept {
  T* to = static_cast<T*>(a.out);
  const From* from = static_cast<const From*>(a.in);
  for (size_t i = 0; i < a.n; ++i) {
    to[static_cast<int64_t>(i) * a.stride] = written<T>(from[i & a.mask]);
  }
}

// ------------------------------------------------------------ reductions

// Sums of floats are kept in float64, of integers modulo 2^64.
template <typename T>
struct State {
  static T get(const Accumulator& a) {
    if constexpr (std::is_floating_point_v<T>) {
      return static_cast<T>(a.real);
    } else {
      return static_cast<T>(a.bits);
    }
  }
  static void set(Accumulator& a, T x) {
    if constexpr (std::is_floating_point_v<T>) {
      a.real = x;
    } else {
      a.bits = static_cast<uint64_t>(x);
    }
  }
};

// Whether x replaces the best value so far. NaN wins MaxOf and MinOf, and is
// above all numbers for ArgMax and ArgMin.
template <typename T, Op kOp>
bool improves(T best, T x, int64_t at) {
  switch (kOp) {
    case Op::MaxOf:
      return best == best && !(x <= best);
    case Op::MinOf:
      return best == best && !(x >= best);
    case Op::ArgMax:
      return at < 0 || (best == best && !(x <= best));
    default:
      return at < 0 || x < best || (best != best && x == x);
  }
}

template <typename T, Op kOp>
void start(Accumulator& a) noexcept {
  using Limits = std::numeric_limits<T>;
  constexpr bool real = std::is_floating_point_v<T>;
  a = Accumulator();
  if constexpr (kOp == Op::Prod) {
    State<T>::set(a, T(1));
  } else if constexpr (kOp == Op::MaxOf) {
    State<T>::set(a, real ? -Limits::infinity() : Limits::lowest());
  } else if constexpr (kOp == Op::MinOf) {
    State<T>::set(a, real ? Limits::infinity() : Limits::max());
  }
}

template <typename T, Op kOp>
void add_one(Accumulator& a, T x, int64_t place) {
  if constexpr (kOp == Op::Sum || kOp == Op::Prod) {
    if constexpr (std::is_floating_point_v<T>) {
      a.real = kOp == Op::Sum ? a.real + x : a.real * x;
    } else {
      const auto bits = static_cast<uint64_t>(x);
      a.bits = kOp == Op::Sum ? a.bits + bits : a.bits * bits;
    }
  } else if (improves<T, kOp>(State<T>::get(a), x, a.at)) {
    State<T>::set(a, x);
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
      static_cast<T*>(out)[i] = State<T>::get(a);
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

template <Op kOp>
ReduceOp reduction(Type type) {
  return with_register_type(type, [](auto x) {
    using T = decltype(x);
    return ReduceOp{&start<T, kOp>, &add<T, kOp>, &finish<T, kOp>};
  });
}

ReduceOp reduction(Op op, Type type) {
  switch (op) {
    case Op::Sum:
      return reduction<Op::Sum>(type);
    case Op::Prod:
      return reduction<Op::Prod>(type);
    case Op::MaxOf:
      return reduction<Op::MaxOf>(type);
    case Op::MinOf:
      return reduction<Op::MinOf>(type);
    case Op::ArgMax:
      return reduction<Op::ArgMax>(type);
    case Op::ArgMin:
      return reduction<Op::ArgMin>(type);
    default:
      return {};
  }
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
  ReduceOp result = reduction(op, register_type(type));
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

void fill_index(int32_t* out, int64_t first, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    out[i] = static_cast<int32_t>(first + static_cast<int64_t>(i));
  }
}

} // namespace zmlx::backend::cpu
