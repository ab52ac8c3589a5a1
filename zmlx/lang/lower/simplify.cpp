#include <algorithm>
#include <bit>
#include <unordered_map>
#include <utility>

#include "zmlx/lang/lower/evaluate.h"
#include "zmlx/lang/lower/graph.h"
#include "zmlx/lang/operations.h"

namespace zmlx::lang::lower_detail {

int operands(const Value& value) {
  return count_values(operation(value.op));
}

std::vector<bool> reachable(const Graph& graph, const std::vector<int>& roots) {
  std::vector<bool> needed(graph.values.size());
  for (int root : roots) {
    needed[root] = true;
  }
  for (size_t i = graph.values.size(); i-- > 0;) {
    const Value& value = graph.values[i];
    for (int k = 0; needed[i] && k < operands(value); ++k) {
      needed[value.in[k]] = true;
    }
  }
  return needed;
}

namespace {

/// Rebuilds a graph value by value.
class Folding {
 public:
  Folding(const Graph& graph, const std::vector<Type>& inputs)
      : old_(graph), inputs_(inputs) {}

  Graph run() {
    graph_.weights = old_.weights;
    std::vector<int> now(old_.values.size());
    for (size_t i = 0; i < now.size(); ++i) {
      Value value = old_.values[i];
      for (int k = 0; k < operands(value); ++k) {
        value.in[k] = now[value.in[k]];
      }
      now[i] = simplify(value);
    }
    for (int output : old_.outputs) {
      graph_.outputs.push_back(now[output]);
    }
    return std::move(graph_);
  }

 private:
  const Value& in(const Value& value, int k) const {
    return graph_.values[value.in[k]];
  }

  bool is_constant(const Value& value, int k, double number) const {
    const Value& operand = in(value, k);
    return operand.op == Op::Constant &&
        std::bit_cast<uint64_t>(operand.value) ==
        std::bit_cast<uint64_t>(number);
  }

  int simplify(const Value& value) {
    if (auto number = known(value)) {
      return add(
          {.op = Op::Constant,
           .type = value.type,
           .from = value.type,
           .value = *number});
    }
    if (auto operand = gives_back(value)) {
      return *operand;
    }
    if (value.op == Op::Pow && is_constant(value, 1, 2)) {
      // Rounds once, as the best power would.
      Value square = value;
      square.op = Op::Mul;
      square.in[1] = square.in[0];
      return add(square);
    }
    return add(value);
  }

  std::optional<double> known(const Value& value) const {
    if (operation(value.op).kind != OpKind::Map) {
      return {}; // known only when it runs: it reads, counts or draws
    }
    std::array<double, 3> numbers{};
    for (int k = 0; k < operands(value); ++k) {
      if (in(value, k).op != Op::Constant) {
        return {};
      }
      numbers[k] = in(value, k).value;
    }
    if (value.op == Op::Cast) {
      return convert(numbers[0], value.type);
    }
    if (value.op == Op::As) {
      return round_to(value.rounded, numbers[0]);
    }
    return evaluate(value.op, value.from, numbers);
  }

  /// The operand that the operation gives back whatever it is, bit for bit.
  std::optional<int> gives_back(const Value& value) const {
    switch (value.op) {
      case Op::As:
        return stored_[value.in[0]] == value.rounded
            ? std::optional(value.in[0])
            : std::nullopt;
      case Op::Mul:
        if (is_constant(value, 0, 1)) {
          return value.in[1];
        }
        [[fallthrough]];
      case Op::Div:
      case Op::Pow:
        return when(is_constant(value, 1, 1), value.in[0]);
      case Op::Sub:
        return when(is_constant(value, 1, 0), value.in[0]);
      case Op::Add: {
        // -0 + 0 is 0, so that only -0 changes no float.
        double none = is_float(value.type) ? -0.0 : 0.0;
        if (is_constant(value, 0, none)) {
          return value.in[1];
        }
        return when(is_constant(value, 1, none), value.in[0]);
      }
      case Op::Neg:
      case Op::Not:
        return when(in(value, 0).op == value.op, in(value, 0).in[0]);
      case Op::Cast:
        // A truth as a number as a truth.
        return when(
            value.type == Type::Bool && in(value, 0).op == Op::Cast &&
                in(value, 0).from == Type::Bool,
            in(value, 0).in[0]);
      case Op::Select:
        if (in(value, 0).op == Op::Constant) {
          return value.in[in(value, 0).value != 0 ? 1 : 2];
        }
        return when(value.in[1] == value.in[2], value.in[1]);
      default:
        return {};
    }
  }

  static std::optional<int> when(bool holds, int operand) {
    return holds ? std::optional(operand) : std::nullopt;
  }

  int add(const Value& value) {
    stored_.push_back(stored_type(value));
    return graph_.add(value);
  }

  /// A stored type that the value is known to be a value of.
  std::optional<Type> stored_type(const Value& value) const {
    switch (value.op) {
      case Op::Input:
      case Op::Pick:
      case Op::Take:
        return inputs_[value.number];
      case Op::As:
        return value.rounded;
      case Op::Neg:
      case Op::Abs:
        return is_float(value.type) ? stored_[value.in[0]] : std::nullopt;
      case Op::MaxOf:
      case Op::MinOf:
      case Op::TopValues:
        return stored_[value.in[0]];
      case Op::Max:
      case Op::Min:
        return common(value.in[0], value.in[1]);
      case Op::Select:
        return common(value.in[1], value.in[2]);
      default:
        return {};
    }
  }

  std::optional<Type> common(int a, int b) const {
    return stored_[a] == stored_[b] ? stored_[a] : std::nullopt;
  }

  const Graph& old_;
  const std::vector<Type>& inputs_;
  Graph graph_;
  std::vector<std::optional<Type>> stored_; // one per new value
};

} // namespace

Graph fold(const Graph& graph, const std::vector<Type>& inputs) {
  return Folding(graph, inputs).run();
}

Graph share(const Graph& graph) {
  Graph result;
  result.weights = graph.weights;
  std::unordered_map<Value, int, FieldsHash, FieldsEqual> known;
  std::vector<int> now(graph.values.size());
  for (size_t i = 0; i < now.size(); ++i) {
    Value value = graph.values[i];
    for (int k = 0; k < operands(value); ++k) {
      value.in[k] = now[value.in[k]];
    }
    auto [entry, added] =
        known.try_emplace(value, static_cast<int>(result.values.size()));
    if (added) {
      result.add(value);
    }
    now[i] = entry->second;
  }
  for (int output : graph.outputs) {
    result.outputs.push_back(now[output]);
  }
  return result;
}

Graph prune(const Graph& graph) {
  std::vector<bool> needed = reachable(graph, graph.outputs);
  Graph result;
  std::vector<int> weight_now(graph.weights.size(), -1);
  std::vector<int> now(graph.values.size(), -1);
  for (size_t i = 0; i < now.size(); ++i) {
    if (!needed[i]) {
      continue;
    }
    Value value = graph.values[i];
    for (int k = 0; k < operands(value); ++k) {
      value.in[k] = now[value.in[k]];
    }
    if (value.op == Op::Product) {
      int& number = weight_now[value.number];
      if (number < 0) {
        number = static_cast<int>(result.weights.size());
        result.weights.push_back(graph.weights[value.number]);
      }
      value.number = number;
    }
    now[i] = result.add(value);
  }
  for (int output : graph.outputs) {
    result.outputs.push_back(now[output]);
  }
  return result;
}

} // namespace zmlx::lang::lower_detail
