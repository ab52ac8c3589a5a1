#include "zmlx/op/combine.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <unordered_set>

#include <fmt/format.h>

#include "zmlx/base/errors.h"

namespace zmlx::op {
namespace {

using lang::Expr;
using lang::Node;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kLargest = std::numeric_limits<float>::max();

struct Join {
  lang::Op reduction;
  lang::Op op;
  lang::Op inverse; // undoes op; `op` where there is none
  double neutral;
  const char* written;
};

constexpr Join kJoins[] = {
    {lang::Op::Sum, lang::Op::Add, lang::Op::Sub, 0, "a + b"},
    {lang::Op::Prod, lang::Op::Mul, lang::Op::Div, 1, "a * b"},
    {lang::Op::MaxOf, lang::Op::Max, lang::Op::Max, -kInf, "max(a, b)"},
    {lang::Op::MinOf, lang::Op::Min, lang::Op::Min, kInf, "min(a, b)"},
};

/// Two operands joined: a + b, a - b, ..., or p < q ? q : p, which is max(p, q)
/// but for NaN, which stays.
struct Joined {
  lang::Op op;
  Expr left;
  Expr right;
};

std::optional<Joined> as_joined(const Expr& e) {
  const auto& args = e->args;
  if (e->op == lang::Op::Select) {
    const Node& test = *args[0];
    if (test.op != lang::Op::Less && test.op != lang::Op::LessEqual) {
      return {};
    }
    const auto &p = test.args[0], &q = test.args[1];
    if (equal(args[1], q) && equal(args[2], p)) {
      return Joined{lang::Op::Max, p, q};
    }
    if (equal(args[1], p) && equal(args[2], q)) {
      return Joined{lang::Op::Min, p, q};
    }
    return {};
  }
  if (args.size() != 2) {
    return {};
  }
  return Joined{e->op, args[0], args[1]};
}

std::unordered_set<const Node*> nodes_with(const Expr& root, int input) {
  std::unordered_set<const Node*> found;
  lang::for_each_node({root}, [&](const Node& node) {
    bool has = node.op == lang::Op::Input && node.input == input;
    for (const Expr& arg : node.args) {
      has = has || found.contains(arg.get());
    }
    if (has) {
      found.insert(&node);
    }
  });
  return found;
}

struct Combine {
  const Join* join;
  Expr term; // joined with the accumulator
};

/// Walks from the update down to the accumulator, which must stand alone at
/// the end of a chain of joins of one kind, never on the right of an inverse.
std::optional<Combine>
combine_with(const Expr& update, int accumulator, const Join& join) {
  const auto with = nodes_with(update, accumulator);
  std::vector<std::pair<lang::Op, Expr>> others; // the outermost first
  Expr at = update;
  while (at->op != lang::Op::Input) {
    const auto joined = as_joined(at);
    if (!joined || (joined->op != join.op && joined->op != join.inverse)) {
      return {};
    }
    const bool left = with.contains(joined->left.get());
    const bool right = with.contains(joined->right.get());
    if (left == right || (right && joined->op != join.op)) {
      return {};
    }
    others.emplace_back(joined->op, left ? joined->right : joined->left);
    at = left ? joined->left : joined->right;
  }
  if (at->input != accumulator || others.empty()) {
    return {};
  }
  std::reverse(others.begin(), others.end());
  const auto& [first, operand] = others[0];
  Expr term = operand;
  if (first != join.op) {
    term = first == lang::Op::Sub ? -operand : 1.0 / operand;
  }
  for (size_t i = 1; i < others.size(); ++i) {
    term = make(others[i].first, {term, others[i].second});
  }
  return Combine{&join, term};
}

std::optional<Combine> find_combine(const Expr& update, int accumulator) {
  for (const Join& join : kJoins) {
    if (auto found = combine_with(update, accumulator, join)) {
      return found;
    }
  }
  return {};
}

std::string shown(const std::string& text) {
  constexpr size_t kMost = 60;
  return text.size() <= kMost ? text : text.substr(0, kMost) + "...";
}

Combine combine_of(const Loop& loop) {
  const auto who = loop.who + ", update";
  const Expr update =
      value_of(loop.update, who, {loop.element, loop.accumulator}, loop.names);
  auto found = find_combine(update, 1);
  if (!found) {
    throw user_error(
        "{}: how partial results join does not follow from '{}'; expected "
        "{} joined with a function of {}: {} + f({}), {} * f({}), "
        "max({}, f({})) or min({}, f({}))",
        who,
        shown(loop.update),
        loop.accumulator,
        loop.element,
        loop.accumulator,
        loop.element,
        loop.accumulator,
        loop.element,
        loop.accumulator,
        loop.element,
        loop.accumulator,
        loop.element);
  }
  return *found;
}

void check_reduce(const Loop& loop, const Join& join) {
  if (loop.reduce.empty()) {
    return;
  }
  const auto who = loop.who + ", reduce";
  const Expr value = value_of(loop.reduce, who, {"a", "b"}, {});
  const auto found = find_combine(value, 0);
  if (!found || found->join != &join || found->term->op != lang::Op::Input) {
    throw user_error(
        "{}: '{}' does not join partial results of the update '{}'; expected "
        "{}",
        who,
        shown(loop.reduce),
        shown(loop.update),
        join.written);
  }
}

// Each partial result begins with it, and how many there are is the device's
// choice.
void check_init(const Loop& loop, const Join& join) {
  const auto who = loop.who + ", init";
  const Expr init = value_of(loop.init, who, {}, loop.names);
  const bool number = init->op == lang::Op::Constant;
  // The largest number is as good as infinity: it is above all others.
  const double value = number && std::abs(init->value) >= kLargest
      ? std::copysign(kInf, init->value)
      : init->value;
  if (!number || value != join.neutral) {
    lang::fail_formula(
        loop.init,
        who,
        {0, loop.init.size()},
        fmt::format(
            "expected {}, which changes no result of the update '{}': every "
            "partial result begins with it",
            join.neutral,
            shown(loop.update)));
  }
}

} // namespace

Expr value_of(
    const std::string& text,
    const std::string& who,
    const std::vector<std::string>& inputs,
    std::vector<lang::NamedValue> names) {
  const auto body = lang::parse(
      text,
      lang::formula_inputs(inputs),
      {.name = who, .unused_allowed = true, .names = std::move(names)});
  if (body.outputs.size() != 1) {
    throw user_error(
        "{}: expected one value, got {} outputs", who, body.outputs.size());
  }
  return body.outputs[0].value;
}

Expr reduction_of(const Loop& loop) {
  const auto [join, term] = combine_of(loop);
  check_reduce(loop, *join);
  check_init(loop, *join);
  return make(join->reduction, {term});
}

std::string who_is(const std::string& door, const std::string& name) {
  return name.empty() ? door : fmt::format("{} '{}'", door, name);
}

} // namespace zmlx::op
