#include "tests/fuzz/whole.h"

#include "zmlx/base/errors.h"

namespace zmlx::fuzz {
namespace {

using lang::Op;
using lang::Type;
__extension__ typedef unsigned __int128 Bits;

bool has_sign(Type type) {
  return type == Type::I8 || type == Type::I16 || type == Type::I32 ||
      type == Type::I64;
}

Wide modulo(Wide a, Wide b) {
  if (b == 0) {
    return 0;
  }
  const Wide r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

Wide power(Type type, Wide base, Wide exponent) {
  if (exponent < 0) {
    const bool one = base == 1 || base == -1;
    return !one ? 0 : exponent % 2 == 0 ? 1 : base;
  }
  Wide result = 1;
  for (; exponent != 0; exponent /= 2) {
    result = exponent % 2 != 0 ? wrapped(type, result * base) : result;
    base = wrapped(type, base * base);
  }
  return result;
}

std::optional<Wide> shift(Op op, Type type, Wide a, Wide by) {
  if (by < 0 || by >= static_cast<Wide>(8 * lang::size_of(type))) {
    return {};
  }
  const int n = static_cast<int>(by);
  return op == Op::Shl ? static_cast<Wide>(static_cast<Bits>(a) << n) : a >> n;
}

std::optional<Wide> any(Op op, Type type, Wide a, Wide b) {
  // clang-format off
  switch (op) {
    case Op::Neg: return -a;
    case Op::Abs: return a < 0 ? -a : a;
    case Op::Floor: case Op::Ceil: case Op::Round: return a;
    case Op::Add: return a + b;
    case Op::Sub: return a - b;
    case Op::Mul: return static_cast<Wide>(static_cast<Bits>(a) * static_cast<Bits>(b));
    case Op::Div: return b == 0 ? 0 : a / b;
    case Op::Mod: return modulo(a, b);
    case Op::Pow: return power(type, a, b);
    case Op::Max: return a > b ? a : b;
    case Op::Min: return a < b ? a : b;
    case Op::BitAnd: return a & b;
    case Op::BitOr: return a | b;
    case Op::BitXor: return a ^ b;
    case Op::Shl: case Op::Shr: return shift(op, type, a, b);
    case Op::Not: return a == 0;
    case Op::And: return a != 0 && b != 0;
    case Op::Or: return a != 0 || b != 0;
    case Op::Less: return a < b;
    case Op::LessEqual: return a <= b;
    case Op::Equal: return a == b;
    case Op::NotEqual: return a != b;
    default: throw internal_error("fuzz: no integers for '{}'", name_of(op));
  }
  // clang-format on
}

} // namespace

Wide wrapped(Type type, Wide x) {
  if (type == Type::Bool) {
    return x != 0;
  }
  const int bits = static_cast<int>(8 * lang::size_of(type));
  const Bits kept = static_cast<Bits>(x) & ((Bits{1} << bits) - 1);
  const bool negative = has_sign(type) && (kept >> (bits - 1)) != 0;
  return static_cast<Wide>(kept) - (negative ? Wide{1} << bits : 0);
}

std::optional<Wide> apply(Op op, Type type, Wide a, Wide b) {
  const auto result = any(op, type, a, b);
  return result ? std::optional(wrapped(type, *result)) : result;
}

} // namespace zmlx::fuzz
