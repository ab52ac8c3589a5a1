#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "zmlx/lang/kernel.h"
#include "zmlx/lang/program.h"

namespace zmlx::lang::lower_detail {

/// A typed operation on earlier values; the fields are those of Instruction,
/// whose rules on types hold here too. Product: in[0] is the row multiplied,
/// `number` the weight.
struct Value {
  Op op;
  Type type;
  Type from = Type::F32;
  std::array<int, 3> in{-1, -1, -1};
  double value = 0;
  int axis = 0;
  ScanOrder order = ScanOrder::Forward;
  int k = 0; // TopValues, TopPlaces
  int number = -1;
  Type rounded = Type::F32;

  auto fields() const {
    return std::tie(op, type, from, in, value, axis, order, k, number, rounded);
  }
};
static_assert(lists_all_members<Value>);

/// Number of operands that are values: the array of a Pick or Take is not one.
int operands(const Value& value);

/// What a body computes, between typing and scheduling: values in an order in
/// which operands come first. Attention is not among them.
struct Graph {
  std::vector<Value> values;
  std::vector<int> outputs; // one for each of lang::roots(body)
  std::vector<Weight> weights;

  int add(Value value) {
    values.push_back(value);
    return static_cast<int>(values.size()) - 1;
  }
};

/// For each value, whether a root needs it.
std::vector<bool> reachable(const Graph& graph, const std::vector<int>& roots);

// The passes, in their order.

/// What typing finds out about the trees.
struct TypedTrees {
  Graph graph;
  std::vector<Type> outputs; // in which they are stored
  std::unordered_map<const Node*, Type> operands; // see BodyTypes
};

/// Types the trees; conversions become Casts. UserError where an operation has
/// no meaning for its operands, or an input's role forbids its use.
TypedTrees type(const Body& body, const std::vector<Type>& inputs);
/// Replaces what is known now: operations on constants, roundings that change
/// nothing, operations that give an operand back.
Graph fold(const Graph& graph, const std::vector<Type>& inputs);
/// One value for equal operations on equal operands.
Graph share(const Graph& graph);
/// Only what the outputs need.
Graph prune(const Graph& graph);

/// InternalError, naming the pass, when the graph breaks a rule.
void check(const Graph& graph, std::string_view pass);
/// The same for a finished program.
void check(const Program& program);

/// For each value, whether it is the same at every place of a row.
std::vector<bool> find_uniform(
    const Graph& graph,
    const std::vector<Input>& inputs);

/// A value to be stored.
struct Root {
  int value;
  int output; // -1: the row of a product or a top-k
  bool one_per_row = false;
  Into into = Into::Place;
  int row = -1; // Into::Row: the value that names it
};

/// The roots as passes over a row; nothing, with the reason, where they cannot
/// be. No Product may be below them.
std::optional<RowProgram> schedule_rows(
    const Graph& graph,
    const std::vector<Root>& roots,
    const std::vector<Input>& inputs,
    std::string* why);

/// The roots as a map over accumulators: each Product is the slot of its
/// weight.
std::optional<Pass> schedule_store(
    const Graph& graph,
    const std::vector<Root>& roots,
    const std::vector<Input>& inputs,
    std::string* why);

} // namespace zmlx::lang::lower_detail
