#include <cmath>
#include <unordered_map>

#include <fmt/format.h>

#include "zmlx/base/errors.h"
#include "zmlx/lang/lower/evaluate.h"
#include "zmlx/lang/lower/graph.h"
#include "zmlx/lang/lower/stored_type.h"
#include "zmlx/lang/operations.h"

namespace zmlx::lang::lower_detail {
namespace {

// Whether every value of compute type `inner` is one of `type`.
bool holds(Type type, Type inner) {
  bool narrow = inner == Type::I32 || inner == Type::U32;
  return type == inner ||
      (type == Type::F64 && (narrow || inner == Type::F32)) ||
      (type == Type::I64 && narrow);
}

/// A value of the graph, or a number that has not met a type yet.
struct Typed {
  int id = -1;
  double number = 0;
  bool integer = false;
  Stored stored = {};

  bool weak() const {
    return id < 0;
  }
};

Typed weak(double number, bool integer) {
  return {-1, number, integer};
}

Typed strong(int id, Stored stored = {}) {
  return {id, 0, false, stored};
}

bool has_sign(const Stored& type) {
  return type && is_signed(*type);
}

class Typing {
 public:
  Typing(const Body& body, const std::vector<Type>& inputs)
      : body_(body), inputs_(inputs) {
    for (Type type : inputs) {
      if (type == Type::F64) {
        plain_float_ = Type::F64;
      }
    }
  }

  TypedTrees run() {
    const std::vector<Expr> trees = roots(body_);
    for (const Expr& root : trees) {
      check_direct_read(*root);
    }
    for_each_node(trees, [&](const Node& node) {
      try {
        check_reads(node);
        typed_.emplace(&node, visit(node));
      } catch (const UserError& error) {
        throw TypeError(error.what(), &node);
      }
    });
    std::vector<OutputValue> values;
    for (const Expr& root : trees) {
      const Typed& value = typed_.at(root.get());
      graph_.outputs.push_back(concrete(value));
      values.push_back({type_of(graph_.outputs.back()), value.stored});
    }
    for (size_t i = body_.outputs.size(); i < trees.size(); ++i) {
      graph_.outputs[i] = whole(graph_.outputs[i], "the row of a sum");
    }
    check_uniform();
    return {
        std::move(graph_),
        output_types(body_, inputs_, values),
        std::move(operands_)};
  }

 private:
  void check_direct_read(const Node& node) const {
    if (node.op != Op::Input) {
      return;
    }
    const Input& input = body_.inputs.at(node.input);
    if (input.role == Role::Row) {
      throw user_error(
          "{}: an input read by rows is read with pick({}, place)",
          input.name,
          input.name);
    }
    if (input.role == Role::Table) {
      throw user_error(
          "{}: a table is read with take({}, row)", input.name, input.name);
    }
    if (input.role == Role::Whole) {
      throw user_error(
          "{}: an input read as a whole has no element at a place", input.name);
    }
  }

  void check_reads(const Node& node) const {
    if (node.op == Op::Attention) {
      return; // as a whole
    }
    for (size_t i = 0; i < node.args.size(); ++i) {
      const Node& arg = *node.args[i];
      if ((node.op != Op::Pick && node.op != Op::Take) || i != 0) {
        check_direct_read(arg);
        continue;
      }
      if (arg.op != Op::Input) {
        throw user_error(
            "{}: expected an input, got the operation {}",
            name_of(node.op),
            name_of(arg.op));
      }
      const Input& input = body_.inputs.at(arg.input);
      if (node.op == Op::Take) {
        if (input.role != Role::Table) {
          throw user_error("{}: take reads tables", input.name);
        }
      } else if (input.role != Role::Row && input.role != Role::Element) {
        throw user_error(
            "{}: pick reads arrays with rows, and this input has none",
            input.name);
      }
    }
  }

  // What one place cannot know of another.
  void check_uniform() const {
    const auto uniform = find_uniform(graph_, body_.inputs);
    const auto require = [&](int id, std::string_view what) {
      if (!uniform[id]) {
        throw user_error(
            "{} must be one per row, and varies along the row", what);
      }
    };
    for (const Value& value : graph_.values) {
      if (value.op == Op::Take) {
        require(value.in[0], "take: the row");
      } else if (value.op == Op::Random) {
        require(value.in[0], "random: the seed");
      }
    }
    for (size_t i = body_.outputs.size(); i < graph_.outputs.size(); ++i) {
      require(graph_.outputs[i], "the row of a sum");
    }
  }

  /// An integer of its compute type.
  int whole(int id, std::string_view what) {
    if (is_float(type_of(id))) {
      throw user_error(
          "{}: expected an integer, got {}", what, name_of(type_of(id)));
    }
    return to(id, compute_type(type_of(id)));
  }

  Type type_of_input(const Node& node) const {
    return compute_type(inputs_.at(node.input));
  }

  Type type_of(int id) const {
    return graph_.values[id].type;
  }

  int constant(double number, Type type) {
    if (type == Type::U64 && number < 0 && number >= -0x1p53) {
      const int positive = constant(-number, type); // wraps, as in C
      return add(Op::Neg, type, type, {positive, -1, -1});
    }
    auto value = convert(number, type);
    if (!value && size_of(type) == 4 && std::abs(number) < 0x1p32) {
      // A mask written without a sign, or -1 for all bits, as in C.
      int64_t bits = static_cast<int64_t>(number);
      value = type == Type::I32
          ? static_cast<double>(static_cast<int32_t>(bits))
          : static_cast<double>(static_cast<uint32_t>(bits));
    }
    if (!value) {
      throw user_error("the number {} does not fit {}", number, name_of(type));
    }
    return graph_.add(
        {.op = Op::Constant, .type = type, .from = type, .value = *value});
  }

  int to(int id, Type type) {
    Type from = type_of(id);
    if (from == type) {
      return id;
    }
    return graph_.add(
        {.op = Op::Cast, .type = type, .from = from, .in = {id, -1, -1}});
  }

  /// The value in a type of its own: numbers that meet nothing.
  int concrete(const Typed& t) {
    return t.weak() ? constant(t.number, t.integer ? Type::I32 : plain_float_)
                    : t.id;
  }

  /// The value as an operand of arithmetic in `type`.
  int operand(const Typed& t, Type type) {
    return t.weak() ? constant(t.number, type) : to(t.id, type);
  }

  /// The type for arithmetic on one value: Bool counts as int32.
  Type arithmetic(const Typed& t) const {
    if (t.weak()) {
      return t.integer ? Type::I32 : plain_float_;
    }
    return compute_type(type_of(t.id));
  }

  Type meet(const Typed& a, const Typed& b) const {
    if (a.weak() == b.weak()) {
      const Type type = promote(arithmetic(a), arithmetic(b));
      const bool apart =
          type == Type::U64 && (has_sign(a.stored) || has_sign(b.stored));
      return apart ? Type::F32 : type; // as MLX: no integer holds both
    }
    const Typed& number = a.weak() ? a : b;
    Type type = arithmetic(a.weak() ? b : a);
    return number.integer || is_float(type) ? type : plain_float_;
  }

  int add(Op op, Type type, Type from, std::array<int, 3> in) {
    return graph_.add({.op = op, .type = type, .from = from, .in = in});
  }

  /// What an operation gives, by the rule of its row.
  Typed result(const Node& node, int id) {
    std::vector<Stored> operands;
    for (const Expr& arg : node.args) {
      operands.push_back(typed_.at(arg.get()).stored);
    }
    return strong(id, stored_type(operation(node.op), operands, type_of(id)));
  }

  const Typed& arg(const Node& node, size_t i) const {
    return typed_.at(node.args[i].get());
  }

  Typed visit(const Node& node) {
    switch (operation(node.op).kind) {
      case OpKind::Leaf:
        return leaf(node);
      case OpKind::Map:
        return map(node);
      case OpKind::Reduction:
      case OpKind::RowToRow:
        return along_row(node);
      case OpKind::Read:
        return read(node);
      case OpKind::Draw:
        return random(node);
      case OpKind::Stage:
        break;
    }
    // Nothing is lowered around attention: only its type is asked for.
    return node.op == Op::Product
        ? product(node)
        : strong(leaf(Op::Slot, type_of_input(*node.args[0]), -1));
  }

  Typed leaf(const Node& node) {
    if (node.op == Op::Constant) {
      return weak(node.value, node.type == Type::I32);
    }
    if (node.op == Op::Input) {
      const Type type = inputs_.at(node.input);
      const bool number = body_.inputs[node.input].role == Role::Scalar;
      return strong(
          leaf(node.op, compute_type(type), node.input),
          number ? Stored() : type);
    }
    const int id = leaf(node.op, Type::I32, node.input);
    graph_.values[id].axis = node.axis;
    return strong(id, Type::I32);
  }

  Typed map(const Node& node) {
    switch (node.op) {
      case Op::Stop:
        return arg(node, 0);
      case Op::As:
        return round(
            node.input < 0 ? node.type : inputs_.at(node.input), arg(node, 0));
      case Op::Cast:
        return cast(node.type, arg(node, 0));
      case Op::Real:
        return real(arg(node, 0));
      default:
        break;
    }
    if (auto number = among_numbers(node)) {
      return *number;
    }
    if (node.op == Op::Select) {
      return select(node);
    }
    return arity(node.op) == 1 ? unary(node) : binary(node);
  }

  int leaf(Op op, Type type, int number) {
    return graph_.add({.op = op, .type = type, .from = type, .number = number});
  }

  Typed real(const Typed& x) {
    if (x.weak()) {
      return weak(x.number, false);
    }
    const Type own = type_of(x.id);
    return strong(to(x.id, is_float(own) ? own : plain_float_), x.stored);
  }

  Typed cast(Type type, const Typed& x) {
    const Type computed = compute_type(type);
    const int id = type == Type::Bool ? to(operand(x, Type::Bool), computed)
                                      : operand(x, computed);
    return strong(id, type);
  }

  /// Operations on numbers alone are done now, in double or as integers.
  std::optional<Typed> among_numbers(const Node& node) const {
    std::array<Number, 3> numbers{};
    for (size_t i = 0; i < node.args.size(); ++i) {
      const Typed& a = arg(node, i);
      if (!a.weak()) {
        return {};
      }
      numbers[i] = {a.number, a.integer};
    }
    const auto result = lower_detail::among_numbers(node.op, numbers);
    if (!result) {
      throw user_error(
          "{} of {} and {} has no value",
          name_of(node.op),
          numbers[0].value,
          numbers[1].value);
    }
    return weak(result->value, result->integer);
  }

  Typed round(Type type, const Typed& x) {
    if (x.weak()) {
      auto rounded = round_to(type, x.number);
      if (!rounded) {
        throw user_error(
            "as: the number {} does not fit {}", x.number, name_of(type));
      }
      return weak(*rounded, x.integer && !is_float(type));
    }
    Type own = arithmetic(x);
    if (is_float(type) && !is_float(own)) {
      own = compute_type(type); // integers do not hold all that it rounds to
    }
    if (type == Type::Bool) {
      // Whether it is 0 is asked before anything of it is cut off.
      return strong(to(to(x.id, Type::Bool), own), x.stored);
    }
    int id = to(x.id, own);
    if (holds(type, own)) {
      return strong(id, x.stored);
    }
    Type through = compute_type(type);
    id = to(id, through);
    if (type != through) {
      id = graph_.add(
          {.op = Op::As,
           .type = through,
           .from = through,
           .in = {id, -1, -1},
           .rounded = type});
    }
    return strong(to(id, own), x.stored);
  }

  Typed read(const Node& node) {
    const int number = node.args[0]->input;
    const int place = whole(
        concrete(arg(node, 1)),
        fmt::format(
            "{}({}, place)", name_of(node.op), body_.inputs.at(number).name));
    const int id = graph_.add(
        {.op = node.op,
         .type = compute_type(inputs_.at(number)),
         .from = type_of(place),
         .in = {place, -1, -1},
         .number = number});
    return strong(id, inputs_.at(number));
  }

  Typed random(const Node& node) {
    const int seed =
        to(whole(concrete(arg(node, 0)), "random(seed)"), Type::U64);
    return strong(
        add(Op::Random, Type::U32, Type::U64, {seed, -1, -1}), Type::U32);
  }

  /// A value or a row from all of a row.
  Typed along_row(const Node& node) {
    const Typed& x = arg(node, 0);
    const Type from = arithmetic(x);
    const bool place = operation(node.op).types == TypeRule::Place;
    const int id = add(
        node.op, place ? Type::U32 : from, from, {operand(x, from), -1, -1});
    graph_.values[id].order = node.order;
    graph_.values[id].k = node.k;
    return result(node, id);
  }

  void check_weight(const Weight& weight) const {
    const auto numbers = parts_of(weight);
    for (size_t p = 0; p < numbers.size(); ++p) {
      const FormatPart& part = row_of(weight.format).parts[p];
      const Type type = inputs_.at(numbers[p]);
      if (!takes(part, type)) {
        throw user_error(
            "{}: expected {}, got {}",
            body_.inputs.at(numbers[p]).name,
            part.type ? name_of(*part.type) : "floats",
            name_of(type));
      }
    }
    if (weight.experts < 0) {
      return;
    }
    const Input& experts = body_.inputs.at(weight.experts);
    const Type type = inputs_.at(weight.experts);
    if (experts.role != Role::EachRow || !is_integer(type)) {
      throw user_error(
          "{}: expected an integer for each row, got {}{}",
          experts.name,
          name_of(type),
          experts.role != Role::EachRow ? " of another role" : "");
    }
  }

  Typed product(const Node& node) {
    check_weight(node.weight);
    const Typed& x = arg(node, 0);
    Type type = promote(arithmetic(x), Type::F32);
    int number = 0;
    int count = static_cast<int>(graph_.weights.size());
    while (number < count && graph_.weights[number] != node.weight) {
      ++number;
    }
    if (number == count) {
      graph_.weights.push_back(node.weight);
    }
    return strong(graph_.add(
        {.op = Op::Product,
         .type = type,
         .from = type,
         .in = {operand(x, type), -1, -1},
         .number = number}));
  }

  Typed select(const Node& node) {
    Type type = meet(arg(node, 1), arg(node, 2));
    int condition = operand(arg(node, 0), Type::Bool);
    int yes = operand(arg(node, 1), type);
    int no = operand(arg(node, 2), type);
    operands_.emplace(&node, type);
    return strong(
        add(Op::Select, type, type, {condition, yes, no}),
        either(arg(node, 1).stored, arg(node, 2).stored));
  }

  Typed unary(const Node& node) {
    const Typed& x = arg(node, 0);
    const TypeRule rule = operation(node.op).types;
    if (rule == TypeRule::Logical) {
      return strong(
          add(node.op, Type::Bool, Type::Bool, {to(x.id, Type::Bool), -1, -1}));
    }
    Type type = arithmetic(x);
    if (rule == TypeRule::Float) {
      type = promote(type, Type::F32);
    }
    if (rule == TypeRule::Rounding && !is_float(type)) {
      return result(node, to(x.id, type));
    }
    return result(node, add(node.op, type, type, {to(x.id, type), -1, -1}));
  }

  Typed binary(const Node& node) {
    const Typed& a = arg(node, 0);
    const Typed& b = arg(node, 1);
    const TypeRule rule = operation(node.op).types;
    if (rule == TypeRule::Logical) {
      return strong(both(node.op, a, b, Type::Bool, Type::Bool));
    }
    if (rule == TypeRule::Integer) {
      return result(node, bitwise(node, a, b));
    }
    Type type = meet(a, b);
    if (rule == TypeRule::Float) {
      type = promote(type, Type::F32);
    }
    operands_.emplace(&node, type);
    return result(
        node,
        both(
            node.op,
            a,
            b,
            rule == TypeRule::Comparison ? Type::Bool : type,
            type));
  }

  int both(Op op, const Typed& a, const Typed& b, Type type, Type from) {
    int left = operand(a, from);
    int right = operand(b, from);
    return add(op, type, from, {left, right, -1});
  }

  /// Bits meet as integers, uint64 with signed ones too; what is shifted keeps
  /// its sign.
  Type meet_as_bits(const Node& node, const Typed& a, const Typed& b) const {
    const Type type = meet(a, b);
    if (!is_float(type)) {
      return type;
    }
    if (is_float(arithmetic(a)) || is_float(arithmetic(b))) {
      throw user_error(
          "{} needs integers, got {} and {}{}",
          name_of(node.op),
          name_of(arithmetic(a)),
          name_of(arithmetic(b)),
          node.op == Op::BitXor ? "; for a power write pow(a, b)" : "");
    }
    const bool shift = node.op == Op::Shl || node.op == Op::Shr;
    return shift && arithmetic(a) != Type::U64 ? Type::I64 : Type::U64;
  }

  int bitwise(const Node& node, const Typed& a, const Typed& b) {
    const Op op = node.op;
    const Type type = meet_as_bits(node, a, b);
    operands_.emplace(&node, type);
    bool truths = !a.weak() && !b.weak() && type_of(a.id) == Type::Bool &&
        type_of(b.id) == Type::Bool;
    if (truths && op == Op::BitXor) {
      // As numbers, since comparisons do not take truth values.
      return both(Op::NotEqual, a, b, Type::Bool, Type::I32);
    }
    if (truths && (op == Op::BitAnd || op == Op::BitOr)) {
      Op logical = op == Op::BitAnd ? Op::And : Op::Or;
      return both(logical, a, b, Type::Bool, Type::Bool);
    }
    return both(op, a, b, type, type);
  }

  const Body& body_;
  const std::vector<Type>& inputs_;
  Type plain_float_ = Type::F32; // of numbers that meet no float
  Graph graph_;
  std::unordered_map<const Node*, Typed> typed_;
  std::unordered_map<const Node*, Type> operands_;
};

} // namespace

TypedTrees type(const Body& body, const std::vector<Type>& inputs) {
  return Typing(body, inputs).run();
}

} // namespace zmlx::lang::lower_detail
