#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "zmlx/lang/expr.h"
#include "zmlx/lang/type.h"

/// C-like text from a lang::Program. What languages of this family have in
/// common is written here; where they differ they have a row in a Dialect.
namespace zmlx::backend::cfamily {

inline constexpr size_t kTypes = static_cast<size_t>(lang::Type::F64) + 1;

/// A function that emitted text may call. Text has only those that it needs.
struct Function {
  std::string_view name;
  std::string_view text;
  std::string_view needs = {}; // names, separated by spaces
};

/// How one language says what the emitter wants said. The functions that the
/// emitter calls and that a dialect must have, with T a type of stored
/// elements, C one of values, and N a number of elements:
///  - Vector<T, N>: a struct with `T at[N]`;
///  - load<N>(T*), load_some<N>(T*, count), gather<N>(T*, step, count): N
///    adjacent elements whose address is aligned to them, the first `count` of
///    them, and the first `count` of elements `step` apart, the rest 0;
///  - store(T*, vector), store_some(T*, vector, count), scatter(T*, step,
///    vector, count);
///  - widen_T(x) -> C and narrow_T(C) -> T: what a stored element is worth,
///    and what a value becomes where a T is stored;
///  - pack_T(values): narrow_T of an array of values, for T of 16 bits;
///  - int_of(C), long_of(C) ...: conversions from floats that are defined for
///    every number;
///  - quotient(x, y): of floats, rounded as IEEE says, which `/` need not be:
///    a mean of equal numbers is that number;
///  - larger(x, y), smaller(x, y): NaN where one of them is;
///  - divide, modulo, power, shift_left, shift_right: as lang/scalar.h;
///  - team_sum<TEAM>(x, memory): of floats, with the rounding of its own sums
///    added up too, in memory of two floats a warp;
///  - team_reduce<TEAM, F>(x, memory) and team_scan(x, total, memory): over the
///    threads of a team; Sum, Product, Larger, Smaller are such F;
///  - named_rows(names, base, rows, group): a bit for each of 32 rows from base
///    on whose name is the group; first_bit(bits);
///  - random_word(seed, block, word): word of block of Philox4x32-10;
///  - sortable(C) -> uint: as C is ordered, NaN above all; unsortable_C back;
///  - record_fault(fault, index, length, rows, output, number).
struct Dialect {
  std::array<std::string_view, kTypes> stored; // by lang::Type
  std::array<std::string_view, kTypes> value; // of compute types
  /// Names of functions of one real number, by Op: the language's own, or of
  /// `functions`; "" for one of `functions` with the operation's name.
  std::string_view (*function_name)(lang::Op op);
  /// The same where all that a program stores has 16 bits: faster ones, exact
  /// to about 2^-17; "" where there is none.
  std::string_view (*function_name_of_halves)(lang::Op op);
  std::string_view kernel; // before the name of a kernel
  std::string_view threads_attribute; // with {} for threads a block
  std::string_view thread; // number of the thread in its block
  std::string_view block; // number of the block
  std::string_view shared; // before memory that a block shares
  std::string_view barrier; // where the threads of a block wait
  std::string_view unroll; // before a loop
  std::string_view restrict_input; // after the * of an input
  std::string_view prelude; // before all functions
  std::span<const Function> functions;
};

inline std::string_view stored_name(const Dialect& d, lang::Type type) {
  return d.stored[static_cast<size_t>(type)];
}
inline std::string_view value_name(const Dialect& d, lang::Type type) {
  return d.value[static_cast<size_t>(type)];
}

} // namespace zmlx::backend::cfamily
