#include <array>

#include "tests/peer/registers.h"
#include "zmlx/base/errors.h"
#include "zmlx/lang/operation_table.h"

namespace zmlx::test_peer {
namespace {

using lang::Op;
using lang::TypeRule;
using lang::operation_table::has_value;
using lang::operation_table::kRows;

using Function =
    void (*)(const Register* const* operands, Register& result, int64_t place);

/// The value function of row I of the table of operations on Ts.
template <typename T, size_t I>
constexpr Function function_of() {
  if constexpr (has_value<I, T>()) {
    constexpr TypeRule types = std::get<I>(kRows).types;
    constexpr bool truth =
        types == TypeRule::Logical || types == TypeRule::Comparison;
    using Result = std::conditional_t<truth, int32_t, T>;
    return [](const Register* const* in, Register& result, int64_t place) {
      constexpr auto& row = std::get<I>(kRows);
      if constexpr (row.arity == 1) {
        result.set<Result>(place, row.value(in[0]->get<T>(place)));
      } else {
        result.set<Result>(
            place, row.value(in[0]->get<T>(place), in[1]->get<T>(place)));
      }
    };
  } else {
    return nullptr;
  }
}

template <typename T>
Function find_function(Op op) {
  static constexpr auto kFunctions =
      []<size_t... I>(std::index_sequence<I...> /*all*/) {
    return std::array<Function, sizeof...(I)>{function_of<T, I>()...};
  }
  (std::make_index_sequence<lang::kOperations>());
  return kFunctions[static_cast<size_t>(op)];
}

template <typename T>
void select(const Register* const* in, Register& result, int64_t place) {
  const bool chosen = in[0]->get<int32_t>(place) != 0;
  result.set<T>(place, in[chosen ? 1 : 2]->get<T>(place));
}

/// Rounded to what a stored element can hold, and back.
template <typename T>
T rounded(lang::Type type, T x) {
  std::byte element[8];
  write(type, x, element);
  return read<T>(type, element);
}

template <typename From, typename To>
To cast(lang::Type to, From x) {
  return to == lang::Type::Bool ? To(x != 0) : convert<To>(x);
}

} // namespace

void compute(
    const lang::Instruction& instruction,
    const Register* const* in,
    Register& result) {
  const auto each = [&](auto set) {
    for (int64_t place = 0; place < result.count(); ++place) {
      set(place);
    }
  };
  with_register_type(in[0]->type(), [&](auto from) {
    using From = decltype(from);
    if (instruction.op == Op::As) {
      return each([&](int64_t place) {
        result.set(
            place, rounded(instruction.rounded, in[0]->get<From>(place)));
      });
    }
    if (instruction.op == Op::Cast) {
      return with_register_type(instruction.type, [&](auto to) {
        each([&](int64_t place) {
          result.set(
              place,
              cast<From, decltype(to)>(
                  instruction.type, in[0]->get<From>(place)));
        });
      });
    }
    if (instruction.op == Op::Select) {
      return with_register_type(instruction.type, [&](auto value) {
        each(
            [&](int64_t place) { select<decltype(value)>(in, result, place); });
      });
    }
    const Function function = find_function<From>(instruction.op);
    if (!function) {
      throw internal_error(
          "test peer: no {} of {}",
          lang::name_of(instruction.op),
          lang::name_of(in[0]->type()));
    }
    each([&](int64_t place) { function(in, result, place); });
  });
}

} // namespace zmlx::test_peer
