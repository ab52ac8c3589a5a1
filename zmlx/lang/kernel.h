#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "zmlx/base/errors.h"
#include "zmlx/export.h"
#include "zmlx/lang/expr.h"

namespace zmlx::lang {

/// How an array meets the others.
enum class Role : uint8_t {
  Element, // broadcast with the other Element inputs, as MLX does
  Scalar, // 0-d: a run-time number
  EachRow, // (...): one element per row, meets the others as (..., 1)
  Row, // read through Pick only: its rows broadcast, its last axis is its own
  Table, // read through Take only: its last axis meets the others
  Whole, // a weight, a cache: read by the body of a stage
};

struct Input {
  std::string name;
  Role role = Role::Element;
  int64_t rows = 0; // that a Table must have; 0 is any number
  bool operator==(const Input&) const = default;
};

/// An output to whose rows values are added: those of places that name one row
/// in the order of the places. Rows outside the output are left out (see
/// backend::Launch::fault for those that an input names).
struct RowSum {
  Expr row; // an integer, one per row
  int like = -1; // the output has the shape of this input ...
  int64_t rows = 0; // ... or where there is none (rows, D)
};

/// The type of an output: `fixed`, else that of input `like`, else what its
/// value asks for:
/// - a float, or what is made of numbers and comparisons alone: the promoted
///   type of the Element inputs (of the Row, Table, EachRow, Whole and Scalar
///   inputs, in this order, where there are none), as far as it holds the
///   value: a float needs a float, a number other than 0 and 1 an int32;
/// - an integer made of arrays, places or counts: the type that MLX gives to
///   its formula. Sums and products are at least int32 or uint32, arithmetic on
///   booleans is int32.
/// Attention: that of q.
struct Output {
  std::string name;
  Expr value;
  int like = -1;
  std::optional<Type> fixed;
  /// One element per place, also where the value is the same along the row.
  bool fills = false;
  /// The output has the shape of this input and is the sum over the axes along
  /// which the input was broadcast, in an order that depends on shapes alone.
  int sum_like = -1;
  std::optional<RowSum> into = {};
};

/// How long an axis is: axis `axis` of `input` (negative from the end), times /
/// over (rounded up where `up`); without an input `times`.
struct AxisLength {
  int input = -1;
  int axis = -1;
  int64_t times = 1;
  int64_t over = 1;
  bool up = false;
  bool operator==(const AxisLength&) const = default;
};

/// What a kernel computes: one tree per output over numbered inputs. Outputs of
/// one body share their loop: equal shapes, except that products of one row may
/// have any number of places each.
struct Body {
  std::vector<Input> inputs;
  std::vector<Output> outputs;
  /// The last axes of the space of places where the inputs that meet leave them
  /// open, say of a kernel that unpacks.
  std::vector<AxisLength> space = {};
  /// Gradients given by hand, by input: a body over the same inputs and then
  /// one cotangent an output (lang/derive.h) with one output. Roles and space
  /// may be others than here, and the outputs may follow as further inputs
  /// (lang::stands_apart).
  std::map<int, std::shared_ptr<const Body>> gradients = {};
};

/// The trees of the outputs, then those of the rows that they are added to.
ZMLX_API std::vector<Expr> roots(const Body& body);

/// Compile-time numbers of a kernel: bits, group_size, dims, the scale of an
/// attention.
using Attributes = std::map<std::string, double>;

/// The values of an input in tests and benchmarks: evenly drawn from low to
/// high, whole numbers where the type is an integer.
struct Fill {
  std::optional<Type> type = {}; // none: the type that is tested
  double low = -3;
  double high = 3;
};

/// Shapes of inputs for conformance and benchmarks; a kernel lists those that
/// its formula makes interesting. Every case is run in every type and with
/// every layout (dense, strided, offset).
struct Case {
  std::string name; // "rows 33x11008"
  std::vector<Shape> shapes; // one per input
  Attributes attributes = {};
  std::map<std::string, Fill> fills = {}; // by input; before Define::fill
  bool bench = false; // the case that benchmarks scale; see lab/bench_case.h
};

/// Collects a kernel's definition; see the catalogue for examples.
class ZMLX_API Define {
 public:
  explicit Define(const Attributes& given) : given_(given) {}

  Expr input(std::string name, Role role = Role::Element);
  Expr scalar(std::string name) {
    return input(std::move(name), Role::Scalar);
  }
  /// A compile-time integer: as given by the caller, else `otherwise`.
  /// UserError when the given one is not an integer.
  int attribute(const std::string& name, int otherwise);
  /// A compile-time number.
  double number(const std::string& name, double otherwise);
  /// A weight operand in MLX's affine packing, or dense where bits = 0.
  Weight weight(const std::string& name, int bits, int group_size);
  /// A weight operand: one input a part of the format, the first `name`, the
  /// others `name`_scales and the like. 0 for what the format does not have.
  Weight weight(
      const std::string& name,
      WeightFormat format,
      int bits,
      int group_size);

  /// A Table must have so many rows, whatever its leading axes.
  void rows(const Expr& table, int64_t count);

  /// Rows are as long as the last axis of `input`, times / over (rounded up
  /// where `up`): the broadcast shape of the outputs gets this last axis.
  void width(const Expr& input, int times, int over, bool up = false);
  /// The last axes of the outputs' shape.
  void space(std::vector<AxisLength> axes);

  void output(Expr value, std::string name = "out");
  void output(Expr value, Type type, std::string name = "out");
  void output_like(Expr value, const Expr& input, std::string name = "out");

  /// The output is summed into the rows of (rows, D) that `row` names.
  void
  output_rows(Expr value, Expr row, int64_t rows, std::string name = "out");
  /// The same into the rows of an array in the shape and type of `input`.
  void output_rows_like(
      Expr value,
      Expr row,
      const Expr& input,
      std::string name = "out");
  /// The output has the shape and type of `input`: the values summed over the
  /// axes along which it is broadcast.
  void output_sum_like(Expr value, const Expr& input, std::string name = "out");

  /// The cotangent of an output; after the last input.
  Expr cotangent(int output = 0);
  /// The gradient of an input, where the derived one is not what is wanted: at
  /// each place, summed over the axes along which the input is broadcast.
  void gradient(const Expr& input, Expr value);
  /// The same as a kernel of its own, whose places are others than this one's
  /// or which reads the inputs in other ways: `define` names all inputs again,
  /// in their order and in any role, then one cotangent an output, then, where
  /// it reads them, the outputs; it gives one output in the shape of `input`.
  void gradient(const Expr& input, const std::function<void(Define&)>& define);

  /// What values an input takes, where not any number will do.
  void fill(const Expr& input, Fill values);
  void cases(std::vector<Case> list);

  /// Brings what was collected into the body; Kernel::define calls it.
  void finish();
  const Body& body() const {
    return body_;
  }
  const std::vector<Case>& listed_cases() const {
    return cases_;
  }
  /// By name of the input.
  const std::map<std::string, Fill>& fills() const {
    return fills_;
  }
  /// Attributes that the definition asked for, with their values.
  const Attributes& attributes() const {
    return asked_;
  }

 private:
  Attributes given_;
  Attributes asked_;
  Body body_;
  std::vector<Case> cases_;
  std::map<std::string, Fill> fills_;
  std::vector<std::pair<int, Expr>> given_gradients_;
  std::vector<std::pair<int, Body>> gradient_kernels_;
  bool cotangents_ = false; // were asked for
};

/// A kernel of the catalogue: its name, what it means, and its definition,
/// from which everything else follows.
class ZMLX_API Kernel {
 public:
  using Definition = std::function<void(Define&)>;

  Kernel(std::string name, std::string summary, Definition define);

  const std::string& name() const {
    return name_;
  }
  const std::string& summary() const {
    return summary_;
  }
  /// The definition for these attributes. UserError for an attribute that the
  /// kernel does not have.
  Define define(const Attributes& attributes = {}) const;
  Body body(const Attributes& attributes = {}) const {
    return define(attributes).body();
  }

 private:
  std::string name_;
  std::string summary_;
  Definition definition_;
};

/// Shapes of the outputs. UserError, naming the input, when the inputs do not
/// fit the body (their number, broadcasting, a weight's shape).
/// - Maps and rows: the broadcast shape of all Element inputs, and of the Row
///   inputs with 1 for their last axis; without its last axis for an output
///   that has one element per row.
/// - Product: the broadcast shape of what the product reads, with the weight's
///   rows for its last axis; other Element inputs must broadcast to it.
/// - Attention: the shape of q. TopValues, TopPlaces: that of the row, with k
///   for its last axis. Outputs that are sums: what their fields say.
ZMLX_API std::vector<Shape> infer_shapes(
    const Body& body,
    const std::vector<Shape>& inputs);

/// For each output, whether it has one element per row: it depends on a
/// reduction, a Pick or an EachRow input, and on nothing else that varies along
/// the last axis, and does not fill it. An output of numbers and scalars alone
/// fills its row.
ZMLX_API std::vector<bool> one_per_row(const Body& body);

/// How a value changes from place to place: along the last axis, and from row
/// to row for a reason other than its element inputs (a reduction, an EachRow
/// input, the number of the row).
struct Variation {
  bool varies = false;
  bool row = false;
};
/// Of each of these nodes, operands first (see postorder).
ZMLX_API std::vector<Variation> variations(
    const Body& body,
    const std::vector<const Node*>& nodes);

/// Whether the operation knows about its row: it reduces, reads elsewhere, or
/// asks where it is.
ZMLX_API bool along_row(Op op);

/// A UserError about an operation that has no meaning for the types of its
/// operands.
class ZMLX_API TypeError : public UserError {
 public:
  TypeError(const std::string& message, const Node* where)
      : UserError(message), where(where) {}

  const Node* const where; // in the body's trees
};

/// Types of a body's values.
struct BodyTypes {
  std::vector<Type> outputs;
  /// Of the operations that bring operands together: the compute type in which
  /// these meet. Not of those on numbers alone.
  std::unordered_map<const Node*, Type> operands;
};

/// TypeError where an operation has no meaning for inputs of these types.
ZMLX_API BodyTypes type_body(const Body& body, const std::vector<Type>& inputs);

/// Types of the outputs alone.
ZMLX_API std::vector<Type> infer_types(
    const Body& body,
    const std::vector<Type>& inputs);

/// MLX's broadcasting. UserError names both shapes where they do not fit.
ZMLX_API Shape broadcast(const Shape& a, const Shape& b);

/// 128 bits as text that are equal exactly for equal bodies: keys caches.
ZMLX_API std::string content_key(const Body& body);

} // namespace zmlx::lang
