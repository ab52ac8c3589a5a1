#include "zmlx/lang/parse.h"

#include <unordered_set>

#include <fmt/format.h>

#include "zmlx/base/errors.h"
#include "zmlx/lang/parse/parser.h"
#include "zmlx/lang/parse/token.h"

namespace zmlx::lang {
namespace {

using namespace parse_detail;

void require_readable(const Source& source) {
  if (source.text().size() > kMaxFormulaBytes) {
    source.fail(
        kMaxFormulaBytes,
        1,
        fmt::format(
            "the formula has {} bytes; at most {} are read",
            source.text().size(),
            kMaxFormulaBytes));
  }
}

/// How the inputs are read: from the outputs, and below the rows of take().
class Reads {
 public:
  explicit Reads(const Body& body) {
    for (const Expr& root : roots(body)) {
      reach(*root, outside_);
    }
    while (!pending_.empty()) {
      const auto [node, seen] = pending_.back();
      pending_.pop_back();
      for (size_t i = 0; i < node->args.size(); ++i) {
        const bool takes = node->op == Op::Take;
        reach(*node->args[i], !takes ? *seen : i == 0 ? tables_ : rows_);
      }
    }
  }

  bool only_a_table(int input) const {
    return tables_.inputs.contains(input) && !rows_.inputs.contains(input) &&
        !outside_.inputs.contains(input);
  }
  bool only_a_row(int input) const {
    return rows_.inputs.contains(input) && !tables_.inputs.contains(input) &&
        !outside_.inputs.contains(input);
  }

 private:
  struct Seen {
    std::unordered_set<const Node*> nodes;
    std::unordered_set<int> inputs;
  };

  void reach(const Node& node, Seen& seen) {
    if (seen.nodes.insert(&node).second) {
      pending_.emplace_back(&node, &seen);
      if (node.op == Op::Input) {
        seen.inputs.insert(node.input);
      }
    }
  }

  Seen outside_;
  Seen rows_;
  Seen tables_;
  std::vector<std::pair<const Node*, Seen*>> pending_;
};

// An array that only take() reads has one role that makes sense.
void find_roles(Body& body) {
  const Reads reads(body);
  for (size_t i = 0; i < body.inputs.size(); ++i) {
    Role& role = body.inputs[i].role;
    const int number = static_cast<int>(i);
    if (role == Role::Element && reads.only_a_table(number)) {
      role = Role::Table;
    } else if (role == Role::Element && reads.only_a_row(number)) {
      role = Role::EachRow;
    }
  }
}

} // namespace

Body parse(
    std::string_view text,
    const std::vector<Input>& inputs,
    const ParseOptions& options) {
  Source source(text, options.name);
  require_readable(source);
  Body body = Parser(source, inputs, options).run();
  find_roles(body);
  return body;
}

std::vector<NamedValue> parse_definitions(
    std::string_view text,
    const std::vector<Input>& inputs,
    const ParseOptions& options) {
  Source source(text, options.name);
  require_readable(source);
  return Parser(source, inputs, options).definitions();
}

void fail_formula(
    std::string_view text,
    const std::string& name,
    Span where,
    std::string_view message) {
  Source(text, name).fail(where.offset, where.length, message);
}

std::vector<Input> formula_inputs(
    const std::vector<std::string>& arrays,
    const std::vector<std::string>& scalars) {
  std::vector<Input> inputs;
  for (const std::string& name : arrays) {
    inputs.push_back({name, Role::Element});
  }
  for (const std::string& name : scalars) {
    inputs.push_back({name, Role::Scalar});
  }
  return inputs;
}

} // namespace zmlx::lang
