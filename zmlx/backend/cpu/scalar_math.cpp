// Block operations of every type, one element at a time: what the vectorised
// ones leave.
#include <cstring>

#include "zmlx/backend/cpu/scalar.h"
#include "zmlx/backend/cpu/vector.h"
#include "zmlx/lang/operation_table.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Op;
using lang::Type;

template <typename T>
const T* at(const BlockArgs& a, size_t operand, size_t i) {
  return static_cast<const T*>(a.in[operand]) + (i & a.mask[operand]);
}

// Uniform registers hold kUniformLanes copies: in groups of as many no element
// needs a mask, and compilers make vectors of them.
template <typename Out, typename F, typename... In, size_t... k>
void run_groups(const BlockArgs& a, std::index_sequence<k...> /*operands*/) {
  auto* out = static_cast<Out*>(a.out);
  size_t i = 0;
  for (; i + kUniformLanes <= a.n; i += kUniformLanes) {
    Out group[kUniformLanes];
    for (size_t lane = 0; lane < kUniformLanes; ++lane) {
      group[lane] = F()(at<In>(a, k, i)[lane]...);
    }
    std::memcpy(out + i, group, sizeof group);
  }
  for (; i < a.n; ++i) {
    out[i] = F()(*at<In>(a, k, i)...);
  }
}

template <typename Out, typename F, typename... In>
void run(const BlockArgs& a) noexcept {
  run_groups<Out, F, In...>(a, std::index_sequence_for<In...>());
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
      return &run<Out, Value, T>;
    } else {
      return &run<Out, Value, T, T>;
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

template <typename Out, typename Stored>
struct Rounded {
  template <typename T>
  Out operator()(T x) const {
    return read<Out>(written<Stored>(x));
  }
};

BlockOp as(Type type, Type stored) {
  return with_register_type(type, [stored](auto x) {
    using T = decltype(x);
    return with_stored_type(stored, [](auto y) -> BlockOp {
      return &run<T, Rounded<T, decltype(y)>, T>;
    });
  });
}

BlockOp cast(Type from, Type to) {
  return with_register_type(from, [to](auto x) -> BlockOp {
    using From = decltype(x);
    if (to == Type::Bool) {
      return &run<int32_t, Rounded<int32_t, Boolean>, From>;
    }
    return with_register_type(to, [](auto y) -> BlockOp {
      using To = decltype(y);
      return &run<To, Rounded<To, To>, From>;
    });
  });
}

struct Select {
  template <typename T>
  T operator()(int32_t condition, T yes, T no) const {
    return condition != 0 ? yes : no;
  }
};

BlockOp select(Type type) {
  return with_register_type(type, [](auto x) -> BlockOp {
    using T = decltype(x);
    return &run<T, Select, int32_t, T, T>;
  });
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

BlockOp find_operation(const lang::Instruction& instruction) {
  const Op op = instruction.op;
  const bool other =
      op == Op::Cast || lang::operation(op).types == TypeRule::Comparison;
  const Type result = register_type(instruction.type);
  const Type in = other ? register_type(instruction.from) : result;
  if (BlockOp vectorised = vector_operation(instruction, in)) {
    return vectorised;
  }
  switch (op) {
    case Op::Cast:
      return cast(in, instruction.type);
    case Op::Select:
      return select(result);
    case Op::As:
      return as(result, instruction.rounded);
    default:
      return with_register_type(
          in, [op](auto x) { return operation<decltype(x)>(op); });
  }
}

} // namespace zmlx::backend::cpu
