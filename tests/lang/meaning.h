#pragma once

#include <cmath>
#include <random>
#include <vector>

#include "zmlx/lang/kernel.h"
#include "zmlx/lang/program.h"

namespace zmlx::lang::testing {

using Row = std::vector<double>;

/// The meaning of an operation on floats, in double.
inline double apply(Op op, double a, double b, double c) {
  switch (op) {
    case Op::Neg:
      return -a;
    case Op::Abs:
      return std::abs(a);
    case Op::Exp:
      return std::exp(a);
    case Op::Tanh:
      return std::tanh(a);
    case Op::Sigmoid:
      return 1 / (1 + std::exp(-a));
    case Op::Not:
      return a == 0;
    case Op::Add:
      return a + b;
    case Op::Sub:
      return a - b;
    case Op::Mul:
      return a * b;
    case Op::Max:
      return std::max(a, b);
    case Op::And:
      return a != 0 && b != 0;
    case Op::Or:
      return a != 0 || b != 0;
    case Op::Less:
      return a < b;
    case Op::LessEqual:
      return a <= b;
    case Op::Equal:
      return a == b;
    case Op::NotEqual:
      return a != b;
    case Op::Select:
      return a != 0 ? b : c;
    default:
      throw std::logic_error("the test has no meaning for an operation");
  }
}

inline double reduce(Op op, const Row& row) {
  double result = row[0];
  for (size_t i = 1; i < row.size(); ++i) {
    result = op == Op::Sum ? result + row[i]
        : op == Op::MaxOf  ? std::max(result, row[i])
                           : std::min(result, row[i]);
  }
  return result;
}

/// A tree at one place, straight from its definition: no typing, no sharing.
inline double
evaluate(const Node& node, const std::vector<Row>& inputs, size_t place) {
  if (is_reduction(node.op)) {
    Row row(inputs[0].size());
    for (size_t i = 0; i < row.size(); ++i) {
      row[i] = evaluate(*node.args[0], inputs, i);
    }
    return reduce(node.op, row);
  }
  switch (node.op) {
    case Op::Input:
      return inputs[node.input][place];
    case Op::Constant:
      return node.value;
    case Op::Index:
      return static_cast<double>(place);
    case Op::Width:
      return static_cast<double>(inputs[0].size());
    case Op::Pick: {
      double at = evaluate(*node.args[1], inputs, place);
      return inputs[node.args[0]->input].at(static_cast<size_t>(at));
    }
    default:
      break;
  }
  double a[3] = {};
  for (size_t i = 0; i < node.args.size(); ++i) {
    a[i] = evaluate(*node.args[i], inputs, place);
  }
  return apply(node.op, a[0], a[1], a[2]);
}

/// One instruction at one place, in double whatever its type.
inline double run(
    const Instruction& it,
    const Row& registers,
    const Row& slots,
    const std::vector<Row>& inputs,
    size_t place) {
  switch (it.op) {
    case Op::Input:
      return inputs[it.number][place];
    case Op::Constant:
      return it.value;
    case Op::Index:
      return static_cast<double>(place);
    case Op::Width:
      return static_cast<double>(inputs[0].size());
    case Op::Slot:
      return slots[it.number];
    case Op::Pick:
      return inputs[it.number].at(static_cast<size_t>(registers[it.in[0]]));
    case Op::Cast:
      return it.type == Type::Bool ? registers[it.in[0]] != 0
                                   : registers[it.in[0]];
    default:
      return apply(
          it.op, registers[it.in[0]], registers[it.in[1]], registers[it.in[2]]);
  }
}

/// A lowered map or row program on one row: the row of each output.
inline std::vector<Row> run(
    const Program& program,
    const std::vector<Row>& inputs) {
  size_t width = inputs[0].size();
  std::vector<Row> outputs(program.outputs.size());
  Row slots(program.row.slots, std::nan(""));
  for (const Pass& pass : program.row.passes) {
    std::vector<Row> values(pass.code.size(), Row(width));
    for (size_t place = 0; place < width; ++place) {
      Row registers(std::max<size_t>(pass.code.size(), 1));
      for (size_t i = 0; i < pass.code.size(); ++i) {
        // A uniform value is computed once, at the first place.
        bool copied = pass.code[i].uniform && place > 0;
        registers[i] = copied
            ? values[i][0]
            : run(pass.code[i], registers, slots, inputs, place);
        values[i][place] = registers[i];
      }
    }
    for (const Reduction& reduction : pass.reductions) {
      slots[reduction.slot] = reduce(reduction.op, values[reduction.value]);
    }
    for (const Store& store : pass.stores) {
      outputs[store.output] =
          store.one_per_row ? Row{values[store.value][0]} : values[store.value];
    }
  }
  return outputs;
}

/// Random trees over two inputs and a scalar, of operations that give the same
/// in float32 and float64 where their operands are the same.
class RandomTrees {
 public:
  explicit RandomTrees(unsigned seed) : random_(seed) {}

  Expr tree(int depth) {
    if (depth == 0 || below(8) == 0) {
      return leaf();
    }
    if (!made_.empty() && below(4) == 0) {
      return made_[below(static_cast<int>(made_.size()))];
    }
    Expr result = operation(depth);
    made_.push_back(result);
    return result;
  }

  int below(int n) {
    return std::uniform_int_distribution<int>(0, n - 1)(random_);
  }
  double uniform() {
    return std::uniform_real_distribution<double>(-1, 1)(random_);
  }
  void forget() {
    made_.clear();
  }

 private:
  Expr leaf() {
    switch (below(6)) {
      case 0:
        return Expr(std::round(uniform() * 8) / 4);
      case 1:
        return Expr(below(5) - 2);
      case 2:
        return input(2);
      default:
        return input(below(2));
    }
  }

  Expr operation(int depth) {
    constexpr Op kUnary[] = {Op::Neg, Op::Abs, Op::Not};
    constexpr Op kBinary[] = {
        Op::Add,
        Op::Sub,
        Op::Mul,
        Op::Max,
        Op::Less,
        Op::LessEqual,
        Op::Equal,
        Op::NotEqual,
        Op::And,
        Op::Or};
    constexpr Op kReductions[] = {Op::Sum, Op::MaxOf, Op::MinOf};
    switch (below(6)) {
      case 0:
        return make(kUnary[below(3)], {tree(depth - 1)});
      case 1:
        return make(kReductions[below(3)], {tree(depth - 1)});
      case 2:
        return select(tree(depth - 1), tree(depth - 1), tree(depth - 1));
      default:
        return make(kBinary[below(10)], {tree(depth - 1), tree(depth - 1)});
    }
  }

  std::mt19937 random_;
  std::vector<Expr> made_;
};

} // namespace zmlx::lang::testing
