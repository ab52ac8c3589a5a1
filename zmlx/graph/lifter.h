#pragma once

#include <functional>
#include <optional>
#include <string>
#include <unordered_map>

#include "zmlx/graph/lift.h"
#include "zmlx/graph/node.h"

namespace zmlx::graph {

/// The state of one lift: the graph so far and where each array's value is.
class Lifter {
 public:
  explicit Lifter(const NameOf& name_of) : name_of_(name_of) {}

  void add_placeholder(const Named& placeholder);
  /// The value of an array; lifts what it needs first.
  Operand value_of(const mx::array& a);
  Graph take(const std::vector<Named>& outputs);

  // For the rules, which are called with the values of a's inputs.

  /// A kernel node with one result, read whole, shaped and typed as `a`.
  Operand emit(
      const mx::array& a,
      std::string name,
      lang::Body body,
      std::vector<Operand> operands);
  /// A value whose storage `operand` is the whole of: a copy where it is a view
  /// that strides cannot reshape.
  Operand reshaped(const mx::array& a, const Operand& operand);
  /// The number that a constant of one element holds.
  std::optional<double> constant_number(const Operand& operand) const;
  Graph& graph() {
    return graph_;
  }

 private:
  void lift_one(const mx::array& a);
  void add_constant(const mx::array& a);
  void add_call(const mx::array& a, const std::vector<Operand>& inputs);
  void add_results(const mx::array& a, Node node);
  void add_foreign(
      const mx::array& a,
      const std::vector<Operand>& inputs,
      std::string reason);

  const NameOf& name_of_;
  Graph graph_;
  std::unordered_map<std::uintptr_t, Operand> values_;
  std::unordered_map<std::uintptr_t, bool> depends_;
  bool depends_on_placeholder(const mx::array& root);
};

/// y = x.
lang::Body copy_body();

/// A primitive's value from the values of its inputs. Nothing, with *why, where
/// this use of it has no kernel.
using Rule = std::function<std::optional<Operand>(
    Lifter& lifter,
    const mx::array& a,
    const std::vector<Operand>& inputs,
    std::string* why)>;

/// The rule of a primitive by its MLX name; null for an unknown one.
const Rule* find_rule(const std::string& primitive);

/// Registers a rule from a static object (graph/rules/*.cpp).
struct AddRule {
  AddRule(std::string primitive, Rule rule);
};

} // namespace zmlx::graph
