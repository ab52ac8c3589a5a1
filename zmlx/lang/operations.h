#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "zmlx/export.h"
#include "zmlx/lang/expr.h"

/// What the language knows of its operations: one row each, in
/// operation_table.h. All passes and all devices ask here instead of listing
/// operations themselves.
namespace zmlx::lang {

enum class OpKind : uint8_t {
  Leaf, // no operands
  Map, // a value at a place from the operands' values at that place
  Reduction, // one value per row
  Read, // an element of the array args[0], at the place that args[1] says
  RowToRow, // a row from a row
  Draw, // random bits
  Stage, // a stage with a hand-written body
};

/// How the type of the result and the compute type of the operands follow from
/// the operands' types (lang/lower/type.cpp).
enum class TypeRule : uint8_t {
  Own, // a rule in type.cpp for this operation alone
  Count, // int32
  Same, // the type in which the operands meet
  Total, // Same; stored in at least 32 bits, as many values are joined
  Float, // Same; integers become floats first
  Rounding, // Same; integers are given back as they are
  Integer, // Same; floats are refused
  Logical, // truth values to a truth value
  Comparison, // operands meet in one type; a truth value
  Place, // a uint32 place from an operand of any type
};

/// How a value differs between the places of a row.
enum class Along : uint8_t {
  Operands, // as the operands do; the same everywhere where there are none
  ByRole, // as the role of the input says
  OnePerRow, // one value per row
  Varies, // a value of its own at each place
};

/// What one value costs. Slow: many instructions, as for a transcendental
/// function, so that computing it again costs more than keeping it.
enum class Cost : uint8_t { None, Quick, Slow };

/// How a formula writes it.
enum class Written : uint8_t {
  Otherwise, // not by its name: inputs by theirs, numbers; Slot not at all
  Call, // exp(x): a function of values
  SpecialCall, // cast(int32, x): with a type, an input or a number among the
               // arguments
  Prefix, // -x
  Infix, // x + y
};

/// What a node holds beside its operands, and so which of its fields counts.
enum class Payload : uint8_t {
  None,
  Number, // value, type
  Input, // input
  Type, // type, or the type of `input`
  Axis, // input, axis
  Order, // order
  Count, // k
  Weight, // weight
  Scale, // scale
};

/// What an operation passes back to its operands when a formula is
/// differentiated: `c` is the cotangent of its result.
class CotangentFlow {
 public:
  CotangentFlow(const Node& node, Expr y, Expr c)
      : y(std::move(y)), c(std::move(c)), node_(node) {}

  const Expr y; // the result
  const Expr c;

  const Expr& arg(int i) const {
    return node_.args[i];
  }
  const Node& node() const {
    return node_;
  }
  void give(int operand, Expr cotangent) {
    given_.emplace_back(operand, std::move(cotangent));
  }
  /// In the order in which they were given. An operand may get several.
  const std::vector<std::pair<int, Expr>>& given() const {
    return given_;
  }

 private:
  const Node& node_;
  std::vector<std::pair<int, Expr>> given_;
};

/// Null: nothing flows back, since the result is flat almost everywhere or no
/// function of real operands.
using Derivative = void (*)(CotangentFlow&);

struct Operation {
  Op op;
  std::string_view name; // in the language and in dumps
  int arity = 0;
  OpKind kind = OpKind::Leaf;
  TypeRule types = TypeRule::Own;
  Along along = Along::Operands;
  /// The operation reduces its row, reads elsewhere in it, or asks where in it
  /// it is: axes may then not be joined.
  bool knows_row = false;
  Cost cost = Cost::None;
  Written written = Written::Otherwise;
  int precedence = 0; // Infix: as in C, 1 (||) to 10 (*)
  Payload payload = Payload::None;
  /// False: a derivative exists and the language has no rule for it, so that
  /// gradients go through MLX's differentiation of the reference.
  bool differentiable = true;
  Derivative derivative = nullptr;
};

inline constexpr int kOperations = static_cast<int>(Op::Slot) + 1;

/// The row of an operation.
ZMLX_API const Operation& operation(Op op);

/// The first operand that is a value; the ones before it are arrays.
inline int first_value(const Operation& operation) {
  return operation.kind == OpKind::Read ? 1 : 0;
}
/// How many operands are values.
inline int count_values(const Operation& operation) {
  return operation.arity - first_value(operation);
}

} // namespace zmlx::lang
