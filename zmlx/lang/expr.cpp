#include "zmlx/lang/expr.h"

#include <cmath>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "zmlx/base/errors.h"
#include "zmlx/lang/intern.h"

namespace zmlx::lang {
namespace {

Expr from_node(Node* node) {
  return Expr(std::shared_ptr<const Node>(node));
}

Expr with_args(const Node& node, std::vector<Expr> args) {
  auto* copy = new Node(node);
  copy->args = std::move(args);
  return from_node(copy);
}

} // namespace

std::string_view name_of(ScanOrder order) {
  switch (order) {
    case ScanOrder::Forward:
      return "forward";
    case ScanOrder::ForwardExclusive:
      return "forward exclusive";
    case ScanOrder::Reverse:
      return "reverse";
    case ScanOrder::ReverseExclusive:
      return "reverse exclusive";
  }
  return "?";
}

Node::~Node() {
  // The destructor of the last owner of a deep tree would call itself once a
  // level; instead the outermost call frees what the inner ones hand to it.
  thread_local std::vector<Expr>* pending = nullptr;
  if (pending != nullptr) {
    pending->insert(
        pending->end(),
        std::make_move_iterator(args.begin()),
        std::make_move_iterator(args.end()));
    return;
  }
  std::vector<Expr> stack = std::move(args);
  pending = &stack;
  while (!stack.empty()) {
    Expr last = std::move(stack.back());
    stack.pop_back();
  }
  pending = nullptr;
}

Expr::Expr(double constant)
    : node_(new Node{.op = Op::Constant, .args = {}, .value = constant}) {}

Expr::Expr(int constant)
    : node_(new Node{
          .op = Op::Constant,
          .args = {},
          .value = static_cast<double>(constant),
          .type = Type::I32}) {}

Expr constant(double value, Type written) {
  bool integer = written == Type::I32;
  if (!integer && written != Type::F32) {
    throw internal_error("a number is not written as {}", name_of(written));
  }
  if (integer && (value != std::trunc(value) || std::abs(value) > 0x1p64)) {
    throw internal_error("{} is not written as an integer", value);
  }
  return from_node(new Node{
      .op = Op::Constant,
      .args = {},
      .value = integer && value == 0 ? 0.0 : value, // integers have one zero
      .type = written});
}

Expr make(Op op, std::vector<Expr> args) {
  if (static_cast<int>(args.size()) != arity(op)) {
    throw internal_error(
        "{} takes {} operands, got {}", name_of(op), arity(op), args.size());
  }
  if (op == Op::Slot) {
    throw internal_error("a slot is no part of a tree");
  }
  return from_node(new Node{.op = op, .args = std::move(args)});
}

Expr input(int number) {
  return from_node(new Node{.op = Op::Input, .args = {}, .input = number});
}

Expr as(Type type, Expr x) {
  return from_node(
      new Node{.op = Op::As, .args = {std::move(x)}, .type = type});
}

Expr as(const Expr& input, Expr x) {
  if (input->op != Op::Input) {
    throw internal_error("as: expected a type or an input");
  }
  return from_node(
      new Node{.op = Op::As, .args = {std::move(x)}, .input = input->input});
}

Expr cast(Type type, Expr x) {
  return from_node(
      new Node{.op = Op::Cast, .args = {std::move(x)}, .type = type});
}

Expr extent(const Expr& input, int axis) {
  if (input->op != Op::Input) {
    throw internal_error("extent: expected an input");
  }
  return from_node(new Node{
      .op = Op::Extent, .args = {}, .input = input->input, .axis = axis});
}

Expr cumsum(Expr x, ScanOrder order) {
  return from_node(
      new Node{.op = Op::CumSum, .args = {std::move(x)}, .order = order});
}

Expr top_values(Expr x, int k) {
  return from_node(
      new Node{.op = Op::TopValues, .args = {std::move(x)}, .k = k});
}

Expr top_places(Expr x, int k) {
  return from_node(
      new Node{.op = Op::TopPlaces, .args = {std::move(x)}, .k = k});
}

Expr product(Expr x, Weight weight) {
  return from_node(
      new Node{.op = Op::Product, .args = {std::move(x)}, .weight = weight});
}

Expr attention(Expr q, Expr k, Expr v, Expr length, double scale) {
  return from_node(new Node{
      .op = Op::Attention,
      .args = {std::move(q), std::move(k), std::move(v), std::move(length)},
      .scale = scale});
}

bool equal(const Expr& a, const Expr& b) {
  if (a.get() == b.get()) {
    return true;
  }
  Interner structures;
  return structures.number(a) == structures.number(b);
}

std::vector<const Node*> postorder(const std::vector<Expr>& roots) {
  struct Step {
    const Node* node;
    size_t next; // operand to visit next
  };
  std::vector<const Node*> order;
  std::unordered_set<const Node*> seen;
  std::vector<Step> stack;
  for (const Expr& root : roots) {
    if (seen.insert(root.get()).second) {
      stack.push_back({root.get(), 0});
    }
    while (!stack.empty()) {
      Step& step = stack.back();
      if (step.next == step.node->args.size()) {
        order.push_back(step.node);
        stack.pop_back();
        continue;
      }
      const Node* arg = step.node->args[step.next++].get();
      if (seen.insert(arg).second) {
        stack.push_back({arg, 0});
      }
    }
  }
  return order;
}

namespace {

using Replaced = std::unordered_map<const Node*, Expr>;

const Expr& replacement_of(int number, const std::vector<Expr>& replacements) {
  if (number < 0 || number >= static_cast<int>(replacements.size())) {
    throw internal_error(
        "substitute: input {} of {}", number, replacements.size());
  }
  return replacements[number];
}

int renumber(int number, const std::vector<Expr>& replacements) {
  if (number < 0) {
    return number;
  }
  const Expr& by = replacement_of(number, replacements);
  if (by->op != Op::Input) {
    throw internal_error(
        "substitute: input {} holds a weight and must stay an input", number);
  }
  return by->input;
}

Expr replace(
    const Expr& tree,
    const Replaced& done,
    const std::vector<Expr>& replacements) {
  const Node& node = *tree;
  if (node.op == Op::Input) {
    return replacement_of(node.input, replacements);
  }
  if (node.op == Op::Extent) {
    return extent(replacement_of(node.input, replacements), node.axis);
  }
  std::vector<Expr> args;
  args.reserve(node.args.size());
  bool changed = false;
  for (const Expr& arg : node.args) {
    args.push_back(done.at(arg.get()));
    changed |= args.back().get() != arg.get();
  }
  if (node.op == Op::Product) {
    Weight weight = node.weight;
    for (size_t p = 0; p < parts_of(weight).size(); ++p) {
      weight.parts[p] = renumber(weight.parts[p], replacements);
    }
    weight.experts = renumber(weight.experts, replacements);
    return product(std::move(args[0]), weight);
  }
  if (node.op == Op::As && node.input >= 0) {
    const Expr& by = replacement_of(node.input, replacements);
    return by->op == Op::Cast ? as(by->type, std::move(args[0]))
                              : as(by, std::move(args[0]));
  }
  return changed ? with_args(node, std::move(args)) : tree;
}

} // namespace

Expr substitute(const Expr& tree, const std::vector<Expr>& replacements) {
  Replaced done;
  for (const Node* node : postorder({tree})) {
    for (const Expr& arg : node->args) {
      if (!done.contains(arg.get())) {
        done.emplace(arg.get(), replace(arg, done, replacements));
      }
    }
  }
  return replace(tree, done, replacements);
}

} // namespace zmlx::lang
