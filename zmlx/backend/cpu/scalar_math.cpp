// Block operations of every type, one element at a time: what the vectorised
// ones leave.
#include <algorithm>

#include "zmlx/backend/cpu/half.h"
#include "zmlx/backend/cpu/scalar.h"
#include "zmlx/backend/cpu/vector.h"
#include "zmlx/lang/operation_table.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Op;
using lang::Type;

template <typename T>
const T& at(const BlockArgs& a, int operand, size_t i) {
  return static_cast<const T*>(a.in[operand])[i & a.mask[operand]];
}

template <typename Out, typename A, typename F>
void run_unary(const BlockArgs& a) noexcept {
  for (size_t i = 0; i < a.n; ++i) {
    static_cast<Out*>(a.out)[i] = F()(at<A>(a, 0, i));
  }
}

template <typename Out, typename A, typename F>
void run_binary(const BlockArgs& a) noexcept {
  for (size_t i = 0; i < a.n; ++i) {
    static_cast<Out*>(a.out)[i] = F()(at<A>(a, 0, i), at<A>(a, 1, i));
  }
}

template <typename C, typename T>
void run_select(const BlockArgs& a) noexcept {
  for (size_t i = 0; i < a.n; ++i) {
    static_cast<T*>(a.out)[i] =
        at<C>(a, 0, i) ? at<T>(a, 1, i) : at<T>(a, 2, i);
  }
}

using lang::TypeRule;
using lang::operation_table::has_value;
using lang::operation_table::kRows;

/// The block operation of row I of the operations for registers of T, from its
/// value function: what every operation has, whether or not there is a faster
/// one in vector_math.cpp.
template <typename T, size_t I>
constexpr BlockOp block_of() {
  using lang::operation_table::RowOf;
  if constexpr (has_value<I, T>()) {
    constexpr auto& row = std::get<I>(kRows);
    constexpr bool truth =
        row.types == TypeRule::Logical || row.types == TypeRule::Comparison;
    using Out = std::conditional_t<truth, int32_t, T>;
    using Value = std::remove_const_t<decltype(RowOf<I>::value)>;
    if constexpr (row.arity == 1) {
      return &run_unary<Out, T, Value>;
    } else {
      return &run_binary<Out, T, Value>;
    }
  } else {
    return nullptr;
  }
}

template <typename T, size_t... I>
constexpr auto blocks_of(std::index_sequence<I...> /*all*/) {
  return std::array<BlockOp, sizeof...(I)>{block_of<T, I>()...};
}

template <typename T>
BlockOp operation(Op op) {
  static constexpr auto kBlocks =
      blocks_of<T>(std::make_index_sequence<lang::kOperations>());
  return kBlocks[static_cast<size_t>(op)];
}

template <typename To>
struct CastTo {
  template <typename T>
  To operator()(T x) const {
    return convert<To>(x);
  }
};

template <typename Stored>
struct AsInteger {
  template <typename T>
  T operator()(T x) const {
    return T(convert<Stored>(x));
  }
};

struct NonZero {
  template <typename T>
  int32_t operator()(T x) const {
    return x != 0;
  }
};

struct AsBool {
  template <typename T>
  T operator()(T x) const {
    return T(x != 0);
  }
};

struct AsFloat16 {
  template <typename T>
  T operator()(T x) const {
    return T(from_float16(to_float16(float(x))));
  }
};

struct AsBfloat16 {
  template <typename T>
  T operator()(T x) const {
    return T(from_bfloat16(to_bfloat16(float(x))));
  }
};

template <typename T>
BlockOp as(Type stored) {
  // clang-format off
  switch (stored) {
    case Type::Bool: return &run_unary<T, T, AsBool>;
    case Type::U8: return &run_unary<T, T, AsInteger<uint8_t>>;
    case Type::I8: return &run_unary<T, T, AsInteger<int8_t>>;
    case Type::U16: return &run_unary<T, T, AsInteger<uint16_t>>;
    case Type::I16: return &run_unary<T, T, AsInteger<int16_t>>;
    case Type::U32: return &run_unary<T, T, AsInteger<uint32_t>>;
    case Type::I32: return &run_unary<T, T, AsInteger<int32_t>>;
    case Type::U64: return &run_unary<T, T, AsInteger<uint64_t>>;
    case Type::I64: return &run_unary<T, T, AsInteger<int64_t>>;
    case Type::F16: return &run_unary<T, T, AsFloat16>;
    case Type::BF16: return &run_unary<T, T, AsBfloat16>;
    case Type::F32: return &run_unary<T, T, CastTo<float>>;
    case Type::F64: return &run_unary<T, T, CastTo<double>>;
  }
  // clang-format on
  return nullptr;
}

BlockOp cast(Type from, Type to) {
  return with_register_type(from, [to](auto x) {
    using From = decltype(x);
    return with_register_type(to, [](auto y) -> BlockOp {
      using To = decltype(y);
      return &run_unary<To, From, CastTo<To>>;
    });
  });
}

BlockOp to_bool(Type from) {
  return with_register_type(from, [](auto x) -> BlockOp {
    return &run_unary<int32_t, decltype(x), NonZero>;
  });
}

BlockOp select(Type condition, Type type) {
  return with_register_type(condition, [type](auto c) {
    using C = decltype(c);
    return with_register_type(
        type, [](auto x) -> BlockOp { return &run_select<C, decltype(x)>; });
  });
}

bool gives_truth(Op op) {
  const TypeRule rule = lang::operation(op).types;
  return rule == TypeRule::Logical || rule == TypeRule::Comparison;
}

// Whether the types of operands and result are what the operation takes.
bool types_fit(
    const lang::Instruction& i,
    const std::array<Type, 3>& in,
    Type result) {
  if (i.op == Op::Select) {
    return in[1] == result && in[2] == result;
  }
  if (lang::arity(i.op) == 2 && in[0] != in[1]) {
    return false;
  }
  return i.op == Op::Cast || result == (gives_truth(i.op) ? Type::I32 : in[0]);
}

} // namespace

Type register_type(Type compute) {
  switch (compute) {
    case Type::F32:
    case Type::F64:
    case Type::U32:
    case Type::I64:
    case Type::U64:
      return compute;
    default:
      return Type::I32;
  }
}

BlockOp find_operation(
    const lang::Instruction& instruction,
    const std::array<Type, 3>& operands) {
  std::array<Type, 3> in;
  std::transform(operands.begin(), operands.end(), in.begin(), register_type);
  const Type result = register_type(instruction.type);
  if (!types_fit(instruction, in, result)) {
    return nullptr;
  }
  if (BlockOp op = vector_operation(instruction, in)) {
    return op;
  }
  switch (instruction.op) {
    case Op::Cast:
      return instruction.type == Type::Bool ? to_bool(in[0])
                                            : cast(in[0], result);
    case Op::Select:
      return select(in[0], result);
    case Op::As:
      return with_register_type(
          result, [&](auto x) { return as<decltype(x)>(instruction.rounded); });
    default:
      return with_register_type(in[0], [&](auto x) {
        return operation<decltype(x)>(instruction.op);
      });
  }
}

} // namespace zmlx::backend::cpu
