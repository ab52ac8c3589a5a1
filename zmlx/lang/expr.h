#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <tuple>
#include <vector>

#include "zmlx/base/fields.h"
#include "zmlx/export.h"
#include "zmlx/lang/formats.h"
#include "zmlx/lang/type.h"

namespace zmlx::lang {

/// The operations of the language. A composite such as silu is a tree of
/// these (lang/functions.h). Operands and results are values of compute types;
/// the meaning of each is that of C++ on floats unless a comment says more.
/// What else is known of each is its row in lang/operation_table.h.
enum class Op : uint8_t {
  // Leaves.
  Input, // the element of input `input` at this place
  Constant, // `value`, an integer where `type` is I32; see Expr(double)
  Index, // the place along the last axis: 0 .. D-1, int32
  Width, // D, the length of the last axis, int32
  RowIndex, // which row this is, row-major among all of the space, int32
  Extent, // the length of axis `axis` of input `input`, int32
  // One operand.
  As, // rounded to `type` and back: a value that the graph stored; to the type
  // of input `input` where that is one. Integers become floats if that is one.
  Cast, // converted to compute_type(`type`), as C++ converts; bool: 0 or 1
  Stop, // the operand; a constant to derivatives
  Real, // the operand as a float: integers become what numbers with a point are
  Random, // 32 random bits of this place, uint32; see random() below
  Neg,
  Abs,
  Exp,
  Expm1,
  Log,
  Log1p,
  Sqrt,
  Rsqrt,
  Sin,
  Cos,
  Tanh,
  Sigmoid, // 1 / (1 + exp(-x)), stable for both signs
  Erf,
  Floor,
  Ceil,
  Round, // half to even
  Not, // logical
  // Two operands.
  Add,
  Sub,
  Mul,
  Div, // integers: truncates; by zero gives 0
  Mod, // sign of the divisor, as MLX's remainder
  Pow,
  Max, // NaN if either is NaN
  Min,
  And, // logical
  Or,
  BitAnd, // integers
  BitOr,
  BitXor,
  Shl,
  Shr,
  Less,
  LessEqual,
  Equal,
  NotEqual,
  // Three operands.
  Select, // args[0] ? args[1] : args[2]
  // Along the last axis. A reduction gives one value per row; its operand is
  // evaluated at every place of the row.
  Sum,
  Prod,
  MaxOf,
  MinOf,
  ArgMax, // uint32; the lowest place among equals; NaN counts as the largest
  ArgMin,
  Pick, // element args[1] (an integer) of the row of input args[0]
  Take, // the element at this place in row args[1] of the table args[0]
  CumSum, // of the places that `order` names
  TopValues, // the `k` largest of a row, descending: a row of its own
  TopPlaces, // where they stand, uint32; the lowest first among equals
  // Stages with a hand-written body.
  Product, // sum over the row of args[0] times the weight: place m gets row m
  Attention, // args: q, k, v, length; see backend/stages/attention
  // A leaf of lowered code alone (lang/program.h), which no tree has.
  Slot,
};

/// Number of operands of an operation.
ZMLX_API int arity(Op op);
/// Its name in the language and in dumps: "exp", "+", "select".
ZMLX_API std::string_view name_of(Op op);
ZMLX_API bool is_reduction(Op op); // Sum .. ArgMin

/// Which places a running sum adds up.
enum class ScanOrder : uint8_t {
  Forward, // 0 .. i
  ForwardExclusive, // 0 .. i - 1
  Reverse, // i .. D - 1
  ReverseExclusive, // i + 1 .. D - 1
};

ZMLX_API std::string_view name_of(ScanOrder order); // "reverse exclusive"

struct Node;

/// A value of the language: an immutable tree, shared where it is used twice
/// (equal pointers are computed once). Untyped: types follow from the types of
/// the inputs when a kernel is lowered (lang/lower.h).
class ZMLX_API Expr {
 public:
  /// A number is an expression. It takes the type of what it meets, as a
  /// Python number does beside an MLX array: an integer beside floats is a
  /// float; 2.0 beside integers makes float32. Numbers among themselves are
  /// computed in double, integers as integers (1 / 3 is 0, 1.0 / 3 is not).
  Expr(double constant); // NOLINT
  Expr(int constant); // NOLINT
  explicit Expr(std::shared_ptr<const Node> node) : node_(std::move(node)) {}

  const Node& operator*() const {
    return *node_;
  }
  const Node* operator->() const {
    return node_.get();
  }
  const Node* get() const {
    return node_.get();
  }

 private:
  std::shared_ptr<const Node> node_;
};

struct ZMLX_API Node {
  Op op;
  std::vector<Expr> args;
  // What it holds beside its operands; see Payload in lang/operations.h.
  double value = 0; // Constant
  int input = -1; // Input, Extent, As
  Type type = Type::F32; // As, Cast; Constant: I32 or F32 as it was written
  int axis = 0; // Extent; negative from the end
  ScanOrder order = ScanOrder::Forward; // CumSum
  int k = 0; // TopValues, TopPlaces: how many
  double scale = 0; // Attention
  Weight weight; // Product

  /// All of it: equal() and content_key() go by these.
  auto fields() const {
    return std::tie(
        op, args, value, input, type, axis, order, k, scale, weight);
  }

  /// Trees of any depth are freed without recursion.
  ~Node();
};
static_assert(lists_all_members<Node>);

/// The node with these operands. InternalError when their number is wrong, or
/// for Slot.
ZMLX_API Expr make(Op op, std::vector<Expr> args);
ZMLX_API Expr input(int number);
ZMLX_API Expr as(Type type, Expr x);
/// Rounded to the type in which an input is stored.
ZMLX_API Expr as(const Expr& input, Expr x);
ZMLX_API Expr cast(Type type, Expr x);
ZMLX_API Expr product(Expr x, Weight weight);
/// q (B, H, 1, D), k and v (B, H_kv, capacity, D) and a 0-d length: softmax of
/// scale q k^T over the first `length` keys, times v. All operands are inputs.
ZMLX_API Expr attention(Expr q, Expr k, Expr v, Expr length, double scale);

/// The length of an axis of an input; negative axes count from the end.
ZMLX_API Expr extent(const Expr& input, int axis);
/// The row's running sum: floats within the bounds that measure/tolerance.h
/// has for rows, integers in their own type, where they wrap.
ZMLX_API Expr cumsum(Expr x, ScanOrder order = ScanOrder::Forward);
/// The k largest of a row, descending, and their places. An output of its own
/// with rows of k; k is at most the length of the row. NaN counts as the
/// largest.
ZMLX_API Expr top_values(Expr x, int k);
ZMLX_API Expr top_places(Expr x, int k);

/// A number written with a point (F32) or without (I32).
ZMLX_API Expr constant(double value, Type written);

/// Same structure, inputs and constants (bit patterns).
ZMLX_API bool equal(const Expr& a, const Expr& b);

/// The tree with each Input replaced by replacements[input]. Sub-trees that
/// were shared stay shared. Inputs that hold a weight must be replaced by
/// inputs, those whose type an As takes by inputs or Casts, which say the type
/// (InternalError).
ZMLX_API Expr
substitute(const Expr& tree, const std::vector<Expr>& replacements);

/// Calls visit(node) once for every distinct node, operands first.
template <typename Visit>
void for_each_node(const std::vector<Expr>& roots, Visit visit);

ZMLX_API std::vector<const Node*> postorder(const std::vector<Expr>& roots);

template <typename Visit>
void for_each_node(const std::vector<Expr>& roots, Visit visit) {
  for (const Node* node : postorder(roots)) {
    visit(*node);
  }
}

// clang-format off
inline Expr operator+(Expr a, Expr b) { return make(Op::Add, {std::move(a), std::move(b)}); }
inline Expr operator-(Expr a, Expr b) { return make(Op::Sub, {std::move(a), std::move(b)}); }
inline Expr operator*(Expr a, Expr b) { return make(Op::Mul, {std::move(a), std::move(b)}); }
inline Expr operator/(Expr a, Expr b) { return make(Op::Div, {std::move(a), std::move(b)}); }
inline Expr operator%(Expr a, Expr b) { return make(Op::Mod, {std::move(a), std::move(b)}); }
inline Expr operator-(Expr a) { return make(Op::Neg, {std::move(a)}); }
inline Expr operator<(Expr a, Expr b) { return make(Op::Less, {std::move(a), std::move(b)}); }
inline Expr operator<=(Expr a, Expr b) { return make(Op::LessEqual, {std::move(a), std::move(b)}); }
inline Expr operator>(Expr a, Expr b) { return make(Op::Less, {std::move(b), std::move(a)}); }
inline Expr operator>=(Expr a, Expr b) { return make(Op::LessEqual, {std::move(b), std::move(a)}); }
inline Expr operator==(Expr a, Expr b) { return make(Op::Equal, {std::move(a), std::move(b)}); }
inline Expr operator!=(Expr a, Expr b) { return make(Op::NotEqual, {std::move(a), std::move(b)}); }
inline Expr operator&(Expr a, Expr b) { return make(Op::BitAnd, {std::move(a), std::move(b)}); }
inline Expr operator|(Expr a, Expr b) { return make(Op::BitOr, {std::move(a), std::move(b)}); }
inline Expr operator^(Expr a, Expr b) { return make(Op::BitXor, {std::move(a), std::move(b)}); }
inline Expr operator<<(Expr a, Expr b) { return make(Op::Shl, {std::move(a), std::move(b)}); }
inline Expr operator>>(Expr a, Expr b) { return make(Op::Shr, {std::move(a), std::move(b)}); }
inline Expr operator&&(Expr a, Expr b) { return make(Op::And, {std::move(a), std::move(b)}); }
inline Expr operator||(Expr a, Expr b) { return make(Op::Or, {std::move(a), std::move(b)}); }
inline Expr operator!(Expr a) { return make(Op::Not, {std::move(a)}); }
/// The operand as a float: integers and booleans become one.
inline Expr real(Expr x) { return make(Op::Real, {std::move(x)}); }
inline Expr abs(Expr x) { return make(Op::Abs, {std::move(x)}); }
inline Expr exp(Expr x) { return make(Op::Exp, {std::move(x)}); }
inline Expr expm1(Expr x) { return make(Op::Expm1, {std::move(x)}); }
inline Expr log(Expr x) { return make(Op::Log, {std::move(x)}); }
inline Expr log1p(Expr x) { return make(Op::Log1p, {std::move(x)}); }
inline Expr sqrt(Expr x) { return make(Op::Sqrt, {std::move(x)}); }
inline Expr rsqrt(Expr x) { return make(Op::Rsqrt, {std::move(x)}); }
inline Expr sin(Expr x) { return make(Op::Sin, {std::move(x)}); }
inline Expr cos(Expr x) { return make(Op::Cos, {std::move(x)}); }
inline Expr tanh(Expr x) { return make(Op::Tanh, {std::move(x)}); }
inline Expr sigmoid(Expr x) { return make(Op::Sigmoid, {std::move(x)}); }
inline Expr erf(Expr x) { return make(Op::Erf, {std::move(x)}); }
inline Expr floor(Expr x) { return make(Op::Floor, {std::move(x)}); }
inline Expr ceil(Expr x) { return make(Op::Ceil, {std::move(x)}); }
inline Expr round(Expr x) { return make(Op::Round, {std::move(x)}); }
inline Expr pow(Expr a, Expr b) { return make(Op::Pow, {std::move(a), std::move(b)}); }
inline Expr max(Expr a, Expr b) { return make(Op::Max, {std::move(a), std::move(b)}); }
inline Expr min(Expr a, Expr b) { return make(Op::Min, {std::move(a), std::move(b)}); }
inline Expr select(Expr c, Expr a, Expr b) { return make(Op::Select, {std::move(c), std::move(a), std::move(b)}); }
inline Expr index() { return make(Op::Index, {}); }
inline Expr width() { return make(Op::Width, {}); }
inline Expr sum(Expr x) { return make(Op::Sum, {std::move(x)}); }
inline Expr prod(Expr x) { return make(Op::Prod, {std::move(x)}); }
inline Expr max_of(Expr x) { return make(Op::MaxOf, {std::move(x)}); }
inline Expr min_of(Expr x) { return make(Op::MinOf, {std::move(x)}); }
inline Expr argmax(Expr x) { return make(Op::ArgMax, {std::move(x)}); }
inline Expr argmin(Expr x) { return make(Op::ArgMin, {std::move(x)}); }
inline Expr mean(Expr x) { return sum(real(std::move(x))) / cast(Type::F32, width()); }
inline Expr row_index() { return make(Op::RowIndex, {}); }
inline Expr stop_gradient(Expr x) { return make(Op::Stop, {std::move(x)}); }
/// Word i % 4 of Philox4x32-10 with the counter i / 4 and the key `seed` (64
/// bits, one value for all places), i the row-major number of the place in the
/// space: the same bits on every device and for every layout. Source: Salmon
/// et al., "Parallel random numbers: as easy as 1, 2, 3", 2011.
inline Expr random(Expr seed) { return make(Op::Random, {std::move(seed)}); }
/// Row `row` (an integer, one per row) of a table: (rows..., D), its leading axes
/// counted as one. 0 outside the table.
inline Expr take(Expr table, Expr row) { return make(Op::Take, {std::move(table), std::move(row)}); }
/// 0 outside the row.
inline Expr pick(Expr in, Expr at) { return make(Op::Pick, {std::move(in), std::move(at)}); }
// clang-format on

} // namespace zmlx::lang
