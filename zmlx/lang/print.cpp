#include "zmlx/lang/print.h"

#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "zmlx/base/errors.h"
#include "zmlx/lang/intern.h"
#include "zmlx/lang/operations.h"

namespace zmlx::lang {
namespace {

// How tightly a text holds together; those of binary operators are the
// parser's.
constexpr int kPrefix = 11;
constexpr int kWhole = 12;

struct Text {
  std::string text;
  int precedence = kWhole;
  int depth = 0; // of nesting
};

std::string number_text(const Node& node) {
  if (node.type == Type::I32) {
    return fmt::format("{:.0f}", node.value);
  }
  std::string text = fmt::format("{}", node.value);
  bool plain = text.find_first_of(".enf") == std::string::npos;
  return plain ? text + ".0" : text;
}

std::string guarded(const Text& operand, bool guard) {
  return guard ? "(" + operand.text + ")" : operand.text;
}

/// Writes each structure once; those with several uses get a name.
class Printer {
 public:
  explicit Printer(const Body& body) : body_(body) {
    for (const Input& input : body.inputs) {
      taken_.insert(input.name);
    }
    for (const Output& output : body.outputs) {
      taken_.insert(output.name);
      roots_.push_back(output.value);
      structures_.number(output.value);
    }
    count_uses();
  }

  std::string run() {
    for_each_node(roots_, [&](const Node& node) {
      int id = structures_.of(&node);
      if (!texts_.contains(id)) {
        texts_.emplace(id, write_or_name(node, id));
      }
    });
    bool single = body_.outputs.size() == 1 && body_.outputs[0].name == "out";
    for (const Output& output : body_.outputs) {
      const std::string& value =
          texts_.at(structures_.of(output.value.get())).text;
      result_ += single ? value : fmt::format("{} = {};\n", output.name, value);
    }
    return std::move(result_);
  }

 private:
  static constexpr int kDepth = 48; // well below what the parser takes

  void count_uses() {
    uses_.resize(structures_.size());
    std::unordered_set<int> seen;
    for_each_node(roots_, [&](const Node& node) {
      if (seen.insert(structures_.of(&node)).second) {
        for (const Expr& arg : node.args) {
          ++uses_[structures_.of(arg.get())];
        }
      }
    });
    for (const Expr& root : roots_) {
      ++uses_[structures_.of(root.get())];
    }
  }

  Text write_or_name(const Node& node, int id) {
    Text text = write(node);
    bool leaf = node.args.empty();
    if (leaf || (uses_[id] < 2 && text.depth < kDepth)) {
      return text;
    }
    std::string name = new_name();
    result_ += fmt::format("let {} = {};\n", name, text.text);
    return {std::move(name)};
  }

  std::string new_name() {
    std::string name;
    do {
      name = fmt::format("t{}", ++names_);
    } while (taken_.contains(name));
    return name;
  }

  const Text& arg(const Node& node, size_t i) const {
    return texts_.at(structures_.of(node.args[i].get()));
  }

  const std::string& input_name(int number) const {
    return body_.inputs.at(number).name;
  }

  Text write(const Node& node) const {
    int depth = 0;
    for (size_t i = 0; i < node.args.size(); ++i) {
      depth = std::max(depth, arg(node, i).depth + 1);
    }
    const Operation& facts = operation(node.op);
    if (node.op == Op::Input) {
      return {input_name(node.input), kWhole, 0};
    }
    if (node.op == Op::Constant) {
      int holds = std::signbit(node.value) ? kPrefix : kWhole;
      return {number_text(node), holds, 0};
    }
    if (facts.written == Written::Prefix) {
      return {prefix_text(node), kPrefix, depth};
    }
    if (facts.written == Written::Infix) {
      return {binary_text(node, facts.precedence), facts.precedence, depth};
    }
    return {call_text(node), kWhole, depth};
  }

  std::string prefix_text(const Node& node) const {
    // -1 is a number; the opposite of the number 1 is -(1).
    bool number = node.args[0]->op == Op::Constant;
    return std::string(name_of(node.op)) +
        guarded(arg(node, 0), number || arg(node, 0).precedence < kPrefix);
  }

  std::string binary_text(const Node& node, int precedence) const {
    const Text& left = arg(node, 0);
    const Text& right = arg(node, 1);
    bool compares = node.op == Op::Less || node.op == Op::LessEqual;
    return fmt::format(
        "{} {} {}",
        guarded(left, left.precedence < precedence + (compares ? 1 : 0)),
        name_of(node.op),
        guarded(right, right.precedence <= precedence));
  }

  std::string call_text(const Node& node) const {
    std::string text = fmt::format("{}({}", name_of(node.op), before(node));
    for (size_t i = 0; i < node.args.size(); ++i) {
      text += (i == 0 ? "" : ", ") + arg(node, i).text;
    }
    return text + after(node) + ")";
  }

  /// What is written before the operands.
  std::string before(const Node& node) const {
    switch (operation(node.op).payload) {
      case Payload::Type:
        return node.input >= 0 ? input_name(node.input) + ", "
                               : fmt::format("{}, ", name_of(node.type));
      case Payload::Axis:
        return fmt::format("{}, {}", input_name(node.input), node.axis);
      case Payload::Weight:
        return has_short_form(node.weight.format)
            ? ""
            : fmt::format("{}, ", row_of(node.weight.format).name);
      default:
        return "";
    }
  }

  /// What is written after the operands.
  std::string after(const Node& node) const {
    switch (operation(node.op).payload) {
      case Payload::Order:
        return order_text(node.order);
      case Payload::Count:
        return fmt::format(", {}", node.k);
      case Payload::Scale:
        return fmt::format(", {}", node.scale);
      case Payload::Weight:
        return weight_text(node.weight);
      default:
        return "";
    }
  }

  static std::string order_text(ScanOrder order) {
    if (order == ScanOrder::Forward) {
      return "";
    }
    const bool reverse =
        order == ScanOrder::Reverse || order == ScanOrder::ReverseExclusive;
    const bool exclusive = order == ScanOrder::ForwardExclusive ||
        order == ScanOrder::ReverseExclusive;
    return fmt::format(", {:d}, {:d}", reverse, exclusive);
  }

  /// Dense and affine weights are written without the name of the format.
  static bool has_short_form(WeightFormat format) {
    return format == WeightFormat::Dense || format == WeightFormat::Affine;
  }

  /// The operands after the row; Parser::product_call reads them.
  std::string weight_text(const Weight& weight) const {
    std::string text;
    for (const int part : parts_of(weight)) {
      text += ", " + input_name(part);
    }
    const FormatRow& row = row_of(weight.format);
    if (!row.bits.empty()) {
      text += fmt::format(", {}", weight.bits);
    }
    if (!row.group_sizes.empty()) {
      text += fmt::format(", {}", weight.group_size);
    }
    return weight.experts < 0 ? text : text + ", " + input_name(weight.experts);
  }

  const Body& body_;
  std::vector<Expr> roots_;
  Interner structures_;
  std::vector<int> uses_;
  std::unordered_map<int, Text> texts_;
  std::unordered_set<std::string> taken_;
  std::string result_;
  int names_ = 0;
};

} // namespace

std::string print(const Body& body) {
  return Printer(body).run();
}

} // namespace zmlx::lang
