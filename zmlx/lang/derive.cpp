#include "zmlx/lang/derive.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "zmlx/base/errors.h"
#include "zmlx/lang/operations.h"

namespace zmlx::lang {
namespace {

/// What flows back to a value, in two parts: at each place, and once per row
/// for values that are the same along it.
struct Cotangent {
  std::optional<Expr> place;
  std::optional<Expr> row;
};

/// The same as it comes in, from the readers of a value.
struct Terms {
  std::vector<Expr> place;
  std::vector<Expr> row;
};

/// The last to come are added first: what flows through a mean and what it is
/// taken from nearly cancel, and must do so before something small joins them.
std::optional<Expr> sum_of(const std::vector<Expr>& terms) {
  std::optional<Expr> sum;
  for (auto term = terms.rbegin(); term != terms.rend(); ++term) {
    sum = sum ? *sum + *term : *term;
  }
  return sum;
}

using Expressions = std::unordered_map<const Node*, Expr>;

/// The nodes at and below the roots as expressions.
Expressions expressions_of(const std::vector<Expr>& roots) {
  Expressions all;
  for (const Expr& root : roots) {
    all.emplace(root.get(), root);
  }
  for_each_node(roots, [&](const Node& node) {
    for (const Expr& arg : node.args) {
      all.emplace(arg.get(), arg);
    }
  });
  return all;
}

class Derivation {
 public:
  explicit Derivation(const Body& body)
      : body_(body),
        cotangent_inputs_(with_cotangents(body)),
        expressions_(expressions_of(roots(body))),
        one_per_row_(one_per_row(body)) {
    nodes_ = postorder(roots(body));
    const auto found = variations(body, nodes_);
    for (size_t i = 0; i < nodes_.size(); ++i) {
      varies_.emplace(nodes_[i], found[i].varies);
      knows_row_ = knows_row_ || along_row(nodes_[i]->op);
    }
  }

  std::optional<Body> run(const std::vector<int>& wanted, std::string* why) {
    for (const Node* node : nodes_) {
      if (operation(node->op).kind == OpKind::Stage) {
        *why = fmt::format("{} has no derivative here", name_of(node->op));
        return {};
      }
    }
    find_needed(wanted);
    for (size_t i = 0; i < body_.outputs.size(); ++i) {
      seed(i);
    }
    for (size_t i = nodes_.size(); i-- > 0;) {
      if (needed_.at(nodes_[i]) && !visit(*nodes_[i], why)) {
        return {};
      }
    }
    Body result{cotangent_inputs_, {}};
    result.space = body_.space;
    for (int input : wanted) {
      auto output = output_of(input, why);
      if (!output) {
        return {};
      }
      result.outputs.push_back(std::move(*output));
    }
    return result;
  }

 private:
  // Nodes above a wanted input whose gradient is not given by hand.
  void find_needed(const std::vector<int>& wanted) {
    for (const Node* node : nodes_) {
      bool needed = node->op == Op::Input &&
          std::find(wanted.begin(), wanted.end(), node->input) !=
              wanted.end() &&
          !body_.gradients.contains(node->input);
      for (const Expr& arg : node->args) {
        needed = needed || (node->op != Op::Stop && needed_.at(arg.get()));
      }
      needed_.emplace(node, needed);
    }
  }

  void seed(size_t i) {
    const Output& output = body_.outputs[i];
    Expr c = input(static_cast<int>(body_.inputs.size() + i));
    if (output.into) {
      c = take(c, output.into->row);
    }
    const Node* root = output.value.get();
    if (needed_.at(root)) {
      give(root, c, one_per_row_[i]);
    }
  }

  void give(const Node* to, const Expr& c, bool once_per_row) {
    Terms& terms = terms_[to];
    (once_per_row ? terms.row : terms.place).push_back(c);
  }

  Cotangent cotangent_of(const Node* node) {
    const Terms& terms = terms_[node];
    return {sum_of(terms.place), sum_of(terms.row)};
  }

  /// All that flows to a value that is the same along the row.
  std::optional<Expr> total(const Cotangent& c) const {
    if (!c.place) {
      return c.row;
    }
    const Expr along = sum_along(*c.place);
    return c.row ? *c.row + along : along;
  }

  /// A value as what changes along the row times what does not; nothing is 1.
  struct Split {
    std::optional<Expr> varying;
    std::optional<Expr> factor;
  };

  using Splits = std::unordered_map<const Node*, Split>;

  /// The sum of a row, with the factors that are the same along it taken out:
  /// they may come from sums of their own, for which this one would wait.
  Expr sum_along(const Expr& terms) const {
    const Body body{cotangent_inputs_, {}};
    const auto nodes = postorder({terms});
    const auto found = variations(body, nodes);
    std::unordered_map<const Node*, bool> varies;
    for (size_t i = 0; i < nodes.size(); ++i) {
      varies.emplace(nodes[i], found[i].varies);
    }
    Splits splits;
    const Expressions expressions = expressions_of({terms});
    for (const Node* node : nodes) {
      splits.emplace(node, split(expressions.at(node), varies, splits));
    }
    return sum_of_split(terms, splits);
  }

  /// Terms with factors of their own are summed apart.
  static Expr sum_of_split(const Expr& terms, const Splits& splits) {
    const auto has_factor = [&](const Expr& term) {
      const Split& own = splits.at(term.get());
      return own.varying && own.factor;
    };
    const Split& all = splits.at(terms.get());
    const Expr varying = all.varying.value_or(Expr(1.0));
    const auto& args = varying->args;
    const bool apart = varying->op == Op::Add &&
        splits.contains(varying.get()) &&
        (has_factor(args[0]) || has_factor(args[1]));
    const Expr along = apart
        ? sum_of_split(args[0], splits) + sum_of_split(args[1], splits)
        : sum(varying);
    return all.factor ? along * *all.factor : along;
  }

  static std::optional<Expr> times(
      const std::optional<Expr>& a,
      const std::optional<Expr>& b) {
    return a && b ? *a * *b : a ? a : b;
  }

  static Split split(
      const Expr& whole,
      const std::unordered_map<const Node*, bool>& varies,
      const Splits& splits) {
    const Node& node = *whole;
    if (!varies.at(&node)) {
      return {{}, whole};
    }
    const auto of = [&](int i) { return splits.at(node.args[i].get()); };
    if (node.op == Op::Neg) {
      return {of(0).varying, times(of(0).factor, Expr(-1.0))};
    }
    if (node.op == Op::Mul) {
      return {
          times(of(0).varying, of(1).varying),
          times(of(0).factor, of(1).factor)};
    }
    if (node.op == Op::Div && !varies.at(node.args[1].get())) {
      const Expr& by = node.args[1];
      return {of(0).varying, of(0).factor ? *of(0).factor / by : 1.0 / by};
    }
    return {whole, {}};
  }

  bool visit(const Node& node, std::string* why) {
    Cotangent c = cotangent_of(&node);
    if (node.op == Op::Input || (!c.place && !c.row)) {
      return true;
    }
    if (node.op == Op::Pick || node.op == Op::Take) {
      return read(node, c, why);
    }
    const bool uniform = !varies_.at(&node);
    if (uniform && knows_row_) {
      // Summed here, what follows is done once per row.
      c = {{}, total(c)};
    }
    const bool spreads = is_reduction(node.op); // from the row to its places
    return (!c.place || pass_on(node, *c.place, false, why)) &&
        (!c.row || pass_on(node, *c.row, uniform && !spreads, why));
  }

  bool pass_on(
      const Node& node,
      const Expr& c,
      bool once_per_row,
      std::string* why) {
    const Operation& facts = operation(node.op);
    if (!facts.differentiable) {
      *why = fmt::format("{} has no derivative here", facts.name);
      return false;
    }
    CotangentFlow flow(node, expressions_.at(&node), c);
    if (facts.derivative != nullptr) {
      facts.derivative(flow);
    }
    for (const auto& [i, e] : flow.given()) {
      if (needed_.at(node.args[i].get())) {
        give(node.args[i].get(), e, once_per_row);
      }
    }
    return true;
  }

  bool read(const Node& node, const Cotangent& c, std::string* why) {
    const Node* source = node.args[0].get();
    const Expr& at = node.args[1];
    if (node.op == Op::Take) {
      if (rows_.contains(source->input)) {
        *why = fmt::format("{} is taken from twice", name(source->input));
        return false;
      }
      rows_.emplace(source->input, RowSum{at, source->input, 0});
      give(source, *c.place, false);
      return true;
    }
    if (body_.inputs.at(source->input).role != Role::Element ||
        varies_.at(at.get())) {
      *why = fmt::format(
          "pick({}, ...) reads places that change along the row",
          name(source->input));
      return false;
    }
    // The row of the input may be shorter than this one: a single element.
    const Expr last = extent(node.args[0], -1);
    const Expr place = select(at < last, at, -1);
    give(source, select(index() == place, *total(c), 0.0), false);
    return true;
  }

  const std::string& name(int input) const {
    return body_.inputs.at(input).name;
  }

  std::optional<Output> output_of(int input, std::string* why) {
    if (auto given = body_.gradients.find(input);
        given != body_.gradients.end()) {
      return given->second->outputs.at(0);
    }
    const Role role = body_.inputs.at(input).role;
    if (role == Role::Whole || role == Role::Row) {
      *why = fmt::format("{} is read as a whole", name(input));
      return {};
    }
    Terms terms; // of all nodes that are this input
    for (const Node* node : nodes_) {
      if (node->op == Op::Input && node->input == input) {
        const Terms& own = terms_[node];
        terms.place.insert(
            terms.place.end(), own.place.begin(), own.place.end());
        terms.row.insert(terms.row.end(), own.row.begin(), own.row.end());
      }
    }
    const Cotangent c{sum_of(terms.place), sum_of(terms.row)};
    std::optional<Expr> value = c.place;
    // A number counts at every place, also where what it gets is the same along
    // the row.
    if (role == Role::EachRow ||
        (role == Role::Scalar && (c.row || knows_row_))) {
      value = total(c);
    }
    Output output = gradient_output(body_, input, value.value_or(Expr(0.0)));
    if (role == Role::Table) {
      const auto row = rows_.find(input);
      output.sum_like = -1;
      output.into =
          row != rows_.end() ? row->second : RowSum{Expr(0), input, 0};
    }
    return output;
  }

  const Body& body_;
  std::vector<Input> cotangent_inputs_;
  Expressions expressions_;
  std::vector<bool> one_per_row_;
  std::vector<const Node*> nodes_;
  bool knows_row_ = false; // there are rows, with at least one axis
  std::unordered_map<const Node*, bool> varies_;
  std::unordered_map<const Node*, bool> needed_;
  std::unordered_map<const Node*, Terms> terms_;
  std::map<int, RowSum> rows_; // of tables
};

Role cotangent_role(const Body& body, const Output& output, bool one_per_row) {
  if (output.into) {
    return Role::Table;
  }
  if (output.sum_like >= 0) {
    return body.inputs.at(output.sum_like).role;
  }
  const Op op = output.value->op;
  if (op == Op::TopValues || op == Op::TopPlaces) {
    return Role::Row;
  }
  return one_per_row ? Role::EachRow : Role::Element;
}

} // namespace

std::vector<Input> with_cotangents(const Body& body) {
  std::vector<Input> inputs = body.inputs;
  const auto short_ones = one_per_row(body);
  for (size_t i = 0; i < body.outputs.size(); ++i) {
    std::string name = "d_" + body.outputs[i].name;
    const auto taken = [&](const Input& other) { return other.name == name; };
    while (std::any_of(inputs.begin(), inputs.end(), taken)) {
      name += "_";
    }
    inputs.push_back(
        {std::move(name),
         cotangent_role(body, body.outputs[i], short_ones[i])});
  }
  return inputs;
}

Output gradient_output(const Body& body, int input, Expr value) {
  Output output{"d_" + body.inputs.at(input).name, std::move(value), input, {}};
  output.sum_like = input;
  return output;
}

bool stands_apart(const Body& body, int input) {
  const auto given = body.gradients.find(input);
  if (given == body.gradients.end()) {
    return false;
  }
  const auto shared = with_cotangents(body);
  const auto& own = given->second->inputs;
  return given->second->space != body.space ||
      !std::equal(
             own.begin(),
             own.end(),
             shared.begin(),
             shared.end(),
             [](const Input& a, const Input& b) { return a.role == b.role; });
}

std::optional<Body>
derive(const Body& body, const std::vector<int>& wanted, std::string* why) {
  std::string unheard;
  why = why != nullptr ? why : &unheard;
  for (int input : wanted) {
    if (!stands_apart(body, input)) {
      continue;
    }
    if (wanted.size() == 1) {
      return *body.gradients.at(input);
    }
    *why = fmt::format(
        "the gradient of {} is a kernel of its own",
        body.inputs.at(input).name);
    return {};
  }
  return Derivation(body).run(wanted, why);
}

} // namespace zmlx::lang
