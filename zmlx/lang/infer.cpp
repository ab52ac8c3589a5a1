#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "zmlx/base/errors.h"
#include "zmlx/lang/operations.h"
#include "zmlx/lang/space.h"

namespace zmlx::lang {
namespace {

std::string to_string(const Shape& shape) {
  return fmt::format("({})", fmt::join(shape, ", "));
}

std::optional<Shape> try_broadcast(const Shape& a, const Shape& b) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape result = longer;
  size_t skip = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    int64_t& have = result[skip + i];
    if (have == 1) {
      have = shorter[i];
    } else if (shorter[i] != 1 && shorter[i] != have) {
      return {};
    }
  }
  return result;
}

/// Where the inputs of a body are read.
struct Uses {
  std::vector<bool> in_product; // below a product
  std::vector<bool> outside;
  std::vector<const Node*> products;
  const Node* attention = nullptr;
  bool along_row = false; // an operation that knows its row
};

void mark(const std::vector<Expr>& roots, std::vector<bool>& read) {
  for_each_node(roots, [&](const Node& node) {
    if (node.op == Op::Input) {
      read.at(node.input) = true;
    }
  });
}

// What is read without going below a product.
void mark_outside(const Body& body, Uses& uses) {
  std::unordered_set<const Node*> seen;
  std::vector<const Node*> stack;
  for (const Output& output : body.outputs) {
    stack.push_back(output.value.get());
  }
  while (!stack.empty()) {
    const Node* node = stack.back();
    stack.pop_back();
    if (!seen.insert(node).second) {
      continue;
    }
    if (node->op == Op::Input) {
      uses.outside.at(node->input) = true;
    }
    if (node->op != Op::Product) {
      for (const Expr& arg : node->args) {
        stack.push_back(arg.get());
      }
    }
  }
}

Uses find_uses(const Body& body) {
  Uses uses;
  uses.in_product.resize(body.inputs.size());
  uses.outside.resize(body.inputs.size());
  std::vector<Expr> roots;
  std::vector<Expr> rows;
  for (const Output& output : body.outputs) {
    roots.push_back(output.value);
  }
  for_each_node(roots, [&](const Node& node) {
    if (node.op == Op::Product) {
      uses.products.push_back(&node);
      rows.push_back(node.args[0]);
      if (node.weight.experts >= 0) {
        rows.push_back(input(node.weight.experts));
      }
    } else if (node.op == Op::Attention) {
      uses.attention = &node;
    }
    uses.along_row |= along_row(node.op);
  });
  mark(rows, uses.in_product);
  mark_outside(body, uses);
  return uses;
}

class ShapeInference {
 public:
  ShapeInference(const Body& body, const std::vector<Shape>& inputs)
      : body_(body), inputs_(inputs) {
    if (inputs.size() != body.inputs.size()) {
      throw user_error(
          "expected {} arrays ({}), got {}",
          body.inputs.size(),
          names(),
          inputs.size());
    }
    uses_ = find_uses(body);
    check_extents();
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (body.inputs[i].role == Role::Scalar && !inputs[i].empty()) {
        throw user_error(
            "{}: expected a number (a 0-d array), got shape {}",
            body.inputs[i].name,
            to_string(inputs[i]));
      }
    }
    check_rows();
  }

  std::vector<Shape> run() const {
    if (uses_.attention != nullptr) {
      return std::vector<Shape>(body_.outputs.size(), attention());
    }
    return uses_.products.empty() ? rows() : products();
  }

 private:
  std::string names() const {
    std::vector<std::string> all;
    for (const Input& input : body_.inputs) {
      all.push_back(input.name);
    }
    return fmt::format("{}", fmt::join(all, ", "));
  }

  void check_extents() const {
    for_each_node(roots(body_), [&](const Node& node) {
      if (node.op != Op::Extent) {
        return;
      }
      const int axis = node.axis;
      const auto rank = static_cast<int>(inputs_.at(node.input).size());
      if (axis < -rank || axis >= rank) {
        throw user_error(
            "{}: expected an axis {}, got shape {}",
            body_.inputs.at(node.input).name,
            axis,
            to_string(inputs_.at(node.input)));
      }
    });
  }

  void check_rows() const {
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const int64_t rows = body_.inputs[i].rows;
      const Shape& shape = inputs_[i];
      if (rows > 0 &&
          (shape.empty() || count({shape.data(), shape.size() - 1}) != rows)) {
        throw user_error(
            "{}: expected an array with {} rows, got shape {}",
            body_.inputs[i].name,
            rows,
            to_string(shape));
      }
    }
  }

  bool broadcasts(size_t i) const {
    return meets(body_.inputs[i].role);
  }

  // How input i meets the others: a Row keeps its last axis to itself, a Table
  // the ones before it.
  Shape meeting_shape(size_t i) const {
    const Shape& shape = inputs_[i];
    const Role role = body_.inputs[i].role;
    const size_t least = role == Role::Table ? 2 : role == Role::Row ? 1 : 0;
    if (shape.size() < least) {
      throw user_error(
          "{}: expected an array with rows, got shape {}",
          body_.inputs[i].name,
          to_string(shape));
    }
    return lang::meeting_shape(role, shape);
  }

  template <typename Take>
  Shape broadcast_of(Take take) const {
    Shape result;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (!broadcasts(i) || !take(i)) {
        continue;
      }
      auto both = try_broadcast(result, meeting_shape(i));
      if (!both) {
        throw user_error(
            "{}: shape {} does not broadcast with {} of the inputs before it",
            body_.inputs[i].name,
            to_string(inputs_[i]),
            to_string(result));
      }
      result = *both;
    }
    return result;
  }

  std::vector<Shape> rows() const {
    Shape shape = broadcast_of([](size_t) { return true; });
    if (!body_.space.empty()) {
      shape = with_space(std::move(shape));
    }
    bool along = uses_.along_row ||
        std::any_of(body_.outputs.begin(),
                    body_.outputs.end(),
                    [](const Output& o) { return bool(o.into); });
    if (along && shape.empty()) {
      throw user_error(
          "{}: a formula along the last axis needs at least one axis, got "
          "0-d arrays",
          names());
    }
    std::vector<bool> short_one = one_per_row(body_);
    std::vector<Shape> result;
    for (size_t i = 0; i < body_.outputs.size(); ++i) {
      result.push_back(output_shape(body_.outputs[i], shape, short_one[i]));
    }
    return result;
  }

  Shape output_shape(const Output& output, Shape space, bool one_per_row)
      const {
    if (output.sum_like >= 0) {
      return inputs_.at(output.sum_like);
    }
    if (output.into) {
      return output.into->like >= 0 ? inputs_.at(output.into->like)
                                    : Shape{output.into->rows, space.back()};
    }
    const Node& value = *output.value;
    if (value.op == Op::TopValues || value.op == Op::TopPlaces) {
      const int64_t k = value.k;
      if (k < 1 || k > space.back()) {
        throw user_error(
            "{}: expected 1 to {} of rows of {}, got k = {}",
            name_of(value.op),
            space.back(),
            space.back(),
            k);
      }
      space.back() = k;
    }
    if (one_per_row) {
      space.pop_back();
    }
    return space;
  }

  // The lengths that body_.space asks for.
  Shape open_axes() const {
    Shape axes;
    for (const AxisLength& length : body_.space) {
      const auto found = find_length(length, inputs_);
      if (!found) {
        wrong_axis(length);
      }
      axes.push_back(*found);
    }
    return axes;
  }

  [[noreturn]] void wrong_axis(const AxisLength& length) const {
    const Shape& shape = inputs_.at(length.input);
    throw user_error(
        "{}: expected {}, got shape {}",
        body_.inputs.at(length.input).name,
        find_axis(length, shape)
            ? fmt::format(
                  "axis {} to be a multiple of {}", length.axis, length.over)
            : fmt::format("an axis {}", length.axis),
        to_string(shape));
  }

  // The last axes from body_.space, where the inputs that meet leave them open.
  Shape with_space(Shape shape) const {
    const Shape axes = open_axes();
    auto both = try_broadcast(shape, axes);
    bool fits = both && both->size() >= axes.size() &&
        std::equal(axes.begin(), axes.end(), both->end() - axes.size());
    if (!fits) {
      throw user_error(
          "{}: the last axes are {}, which does not broadcast with {}",
          names(),
          to_string(axes),
          to_string(shape));
    }
    return *both;
  }

  [[noreturn]] void wrong(int input, const std::string& expected) const {
    throw user_error(
        "{}: expected shape {}, got {}",
        body_.inputs.at(input).name,
        expected,
        to_string(inputs_.at(input)));
  }

  // What a part must be, "(M, 8) for 4 bits and rows of 64".
  std::string part_text(const Weight& weight, size_t part, int64_t k) const {
    const bool codes = row_of(weight.format).parts[part].use == PartUse::Codes;
    return fmt::format(
        "({}M, {}){}",
        weight.experts < 0 ? "" : "E, ",
        columns(weight, part, k),
        codes ? fmt::format(" for {} bits and rows of {}", weight.bits, k)
              : "");
  }

  // Checks a weight for rows of K; returns its number of rows.
  int64_t weight_rows(const Weight& weight, int64_t k) const {
    const auto parts = parts_of(weight);
    const size_t axes = weight.experts < 0 ? 2 : 3;
    if (const auto fault = shape_fault(weight, k)) {
      throw user_error("{}: {}", body_.inputs.at(parts[0]).name, *fault);
    }
    const Shape& first = inputs_.at(parts[0]);
    Shape expected = first;
    for (size_t p = 0; p < parts.size(); ++p) {
      if (first.size() != axes || first.back() != columns(weight, 0, k)) {
        wrong(parts[0], part_text(weight, 0, k));
      }
      expected.back() = columns(weight, p, k);
      if (inputs_.at(parts[p]) != expected) {
        wrong(parts[p], to_string(expected));
      }
    }
    return first[axes - 2];
  }

  Shape product_shape(const Output& output, const Shape& x) const {
    std::optional<int64_t> places;
    for_each_node({output.value}, [&](const Node& node) {
      if (node.op != Op::Product) {
        return;
      }
      int64_t m = weight_rows(node.weight, x.back());
      if (places && *places != m) {
        throw user_error(
            "{}: output '{}' joins products of {} and {} rows of weights",
            body_.inputs.at(node.weight.parts[0]).name,
            output.name,
            *places,
            m);
      }
      places = m;
    });
    if (!places) {
      throw user_error(
          "output '{}' has no product, unlike the other outputs", output.name);
    }
    Shape shape = x;
    shape.back() = *places;
    return shape;
  }

  std::vector<Shape> products() const {
    Shape x = broadcast_of([&](size_t i) { return uses_.in_product[i]; });
    if (x.empty()) {
      throw user_error(
          "{}: the row of a product needs at least one axis", names());
    }
    std::vector<Shape> result;
    for (const Output& output : body_.outputs) {
      Shape shape = product_shape(output, x);
      Body alone{body_.inputs, {output}};
      Uses uses = find_uses(alone);
      for (size_t i = 0; i < inputs_.size(); ++i) {
        if (broadcasts(i) && uses.outside[i] &&
            try_broadcast(shape, meeting_shape(i)) != shape) {
          wrong(
              static_cast<int>(i),
              fmt::format("one that broadcasts to {}", to_string(shape)));
        }
      }
      result.push_back(shape);
    }
    return result;
  }

  Shape attention() const {
    const Node& node = *uses_.attention;
    int number[4];
    for (int i = 0; i < 4; ++i) {
      if (node.args[i]->op != Op::Input) {
        throw user_error("attention: operand {} is not an input", i);
      }
      number[i] = node.args[i]->input;
    }
    const Shape& q = inputs_.at(number[0]);
    const Shape& k = inputs_.at(number[1]);
    if (q.size() != 4 || q[2] != 1) {
      wrong(number[0], "(B, H, 1, D)");
    }
    if (k.size() != 4 || k[0] != q[0] || k[3] != q[3] || k[1] == 0 ||
        q[1] % k[1] != 0) {
      wrong(
          number[1],
          fmt::format(
              "({}, H_kv, capacity, {}) with H_kv a divisor of {}",
              q[0],
              q[3],
              q[1]));
    }
    if (inputs_.at(number[2]) != k) {
      wrong(number[2], to_string(k));
    }
    if (!inputs_.at(number[3]).empty()) {
      wrong(number[3], "()");
    }
    return q;
  }

  const Body& body_;
  const std::vector<Shape>& inputs_;
  Uses uses_;
};

} // namespace

bool along_row(Op op) {
  return operation(op).knows_row;
}

Shape broadcast(const Shape& a, const Shape& b) {
  auto shape = try_broadcast(a, b);
  if (!shape) {
    throw user_error(
        "shapes {} and {} do not broadcast", to_string(a), to_string(b));
  }
  return *shape;
}

namespace {

Variation variation_of_input(Role role) {
  return {role != Role::Scalar && role != Role::EachRow, role == Role::EachRow};
}

Variation variation_of(
    const Node& node,
    const Operation& facts,
    const std::unordered_map<const Node*, Variation>& known) {
  Variation v;
  if (facts.along == Along::Varies) {
    return {true, false};
  }
  v.row = facts.along == Along::OnePerRow || facts.kind == OpKind::Read;
  for (int k = first_value(facts); k < facts.arity; ++k) {
    const Variation& below = known.at(node.args[k].get());
    v.varies |= below.varies && facts.along == Along::Operands;
    v.row |= below.row;
  }
  return v;
}

} // namespace

std::vector<Variation> variations(
    const Body& body,
    const std::vector<const Node*>& nodes) {
  std::unordered_map<const Node*, Variation> known;
  std::vector<Variation> result;
  for (const Node* node : nodes) {
    const Operation& facts = operation(node->op);
    const Variation v = facts.along == Along::ByRole
        ? variation_of_input(body.inputs.at(node->input).role)
        : variation_of(*node, facts, known);
    known.emplace(node, v);
    result.push_back(v);
  }
  return result;
}

std::vector<bool> one_per_row(const Body& body) {
  const auto nodes = postorder(roots(body));
  const auto found = variations(body, nodes);
  std::unordered_map<const Node*, Variation> known;
  for (size_t i = 0; i < nodes.size(); ++i) {
    known.emplace(nodes[i], found[i]);
  }
  std::vector<bool> result;
  for (const Output& output : body.outputs) {
    const Variation v = known.at(output.value.get());
    bool short_one = v.row && !v.varies && !output.fills && !output.into;
    if (output.sum_like >= 0) {
      // What has no last axis of its own is summed row by row.
      const Role role = body.inputs.at(output.sum_like).role;
      short_one = !v.varies && (role == Role::Scalar || role == Role::EachRow);
    }
    result.push_back(short_one);
  }
  return result;
}

std::vector<Shape> infer_shapes(
    const Body& body,
    const std::vector<Shape>& inputs) {
  return ShapeInference(body, inputs).run();
}

} // namespace zmlx::lang
