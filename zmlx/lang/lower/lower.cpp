#include "zmlx/lang/lower.h"

#include <algorithm>

#include <fmt/format.h>

#include "zmlx/base/errors.h"
#include "zmlx/lang/lower/graph.h"
#include "zmlx/lang/operations.h"

namespace zmlx::lang {
namespace {

using namespace lower_detail;

void check_inputs(const Body& body, const std::vector<Type>& inputs) {
  if (inputs.size() != body.inputs.size()) {
    throw user_error(
        "the formula has {} inputs, got types of {}",
        body.inputs.size(),
        inputs.size());
  }
}

const Node* find_attention(const Body& body) {
  const Node* found = nullptr;
  for_each_node(roots(body), [&](const Node& node) {
    if (node.op == Op::Attention) {
      found = &node;
    }
  });
  return found;
}

std::vector<Role> roles_of(const Body& body) {
  std::vector<Role> roles;
  for (const Input& input : body.inputs) {
    roles.push_back(input.role);
  }
  return roles;
}

std::optional<Program> lower_attention(
    const Body& body,
    const std::vector<Type>& inputs,
    const Node& node,
    std::string* why) {
  if (body.outputs.size() != 1 || body.outputs[0].value.get() != &node) {
    *why = "attention with other operations around it";
    return {};
  }
  for (const Expr& arg : node.args) {
    if (arg->op != Op::Input) {
      *why = "attention over something that is not an input";
      return {};
    }
  }
  Program program;
  program.stage = Stage::Attention;
  program.inputs = inputs;
  program.outputs = type(body, inputs).outputs;
  program.attention = {
      node.args[0]->input,
      node.args[1]->input,
      node.args[2]->input,
      node.args[3]->input,
      node.scale};
  program.picked.resize(inputs.size());
  program.roles = roles_of(body);
  return program;
}

Graph simplified(const Graph& typed, const std::vector<Type>& inputs) {
  check(typed, "type");
  Graph graph = share(typed);
  check(graph, "share");
  graph = fold(graph, inputs);
  check(graph, "fold");
  // Folding makes equal what was not.
  graph = share(graph);
  check(graph, "share again");
  graph = prune(graph);
  check(graph, "prune");
  return graph;
}

std::vector<bool> find_picked(const Graph& graph, size_t inputs) {
  std::vector<bool> picked(inputs);
  std::vector<bool> read(inputs);
  for (const Value& value : graph.values) {
    if (value.op == Op::Pick) {
      picked[value.number] = true;
    } else if (value.op == Op::Input) {
      read[value.number] = true;
    }
  }
  for (size_t i = 0; i < inputs; ++i) {
    picked[i] = picked[i] && !read[i];
  }
  return picked;
}

std::vector<Root> roots_of(const Body& body, const Graph& graph) {
  std::vector<bool> short_one = one_per_row(body);
  std::vector<Root> roots;
  size_t row = body.outputs.size(); // where the next row stands
  for (size_t i = 0; i < body.outputs.size(); ++i) {
    const Output& output = body.outputs[i];
    Root root{graph.outputs[i], static_cast<int>(i), short_one[i]};
    if (output.sum_like >= 0) {
      root.into = Into::Sum;
    } else if (output.into) {
      root.into = Into::Row;
      root.row = graph.outputs[row++];
    }
    roots.push_back(root);
  }
  return roots;
}

// The gradient of such an input is summed in its formula (derive.cpp).
bool sums_along_rows_into_one_each(
    const Body& body,
    const std::vector<Root>& roots) {
  return std::any_of(roots.begin(), roots.end(), [&](const Root& root) {
    const int like = body.outputs[root.output].sum_like;
    return like >= 0 && body.inputs[like].role == Role::EachRow &&
        !root.one_per_row;
  });
}

bool is_top(Op op) {
  return op == Op::TopValues || op == Op::TopPlaces;
}

bool any_of(const Graph& graph, bool (*found)(Op)) {
  return std::any_of(
      graph.values.begin(), graph.values.end(), [&](const Value& v) {
        return found(v.op);
      });
}

bool schedule_top(
    const Body& body,
    const Graph& graph,
    Program& program,
    std::string* why) {
  program.stage = Stage::TopK;
  const Value& first = graph.values[graph.outputs[0]];
  program.top.k = first.k;
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    const Value& value = graph.values[graph.outputs[i]];
    if (!is_top(value.op) || value.in != first.in || value.k != first.k) {
      *why = "the largest of a row beside other operations";
      return false;
    }
    (value.op == Op::TopValues ? program.top.values : program.top.places)
        .push_back(static_cast<int>(i));
  }
  if (first.from != Type::F32) {
    *why = fmt::format("the largest of {}", name_of(first.from));
    return false;
  }
  auto rows = schedule_rows(graph, {{first.in[0], -1}}, body.inputs, why);
  if (rows) {
    program.row = std::move(*rows);
  }
  return rows.has_value();
}

/// For each value, whether a product is at or below it.
std::vector<bool> over_product(const Graph& graph) {
  std::vector<bool> over;
  for (const Value& value : graph.values) {
    bool found = value.op == Op::Product;
    for (int k = 0; k < operands(value); ++k) {
      found = found || over[value.in[k]];
    }
    over.push_back(found);
  }
  return over;
}

/// What stands around products and cannot be; "" when all is well.
std::string product_fault(const Graph& graph) {
  std::vector<bool> over = over_product(graph);
  int row = -1;
  for (const Value& value : graph.values) {
    if (value.op == Op::Product) {
      if (over[value.in[0]]) {
        return "a product of a product";
      }
      if (row >= 0 && row != value.in[0]) {
        return "products of different rows";
      }
      row = value.in[0];
    } else if (is_reduction(value.op) && over[value.in[0]]) {
      return fmt::format("{} over a product's places", name_of(value.op));
    } else if (value.op == Op::Pick && over[value.in[0]]) {
      return "a place to pick that comes from a product";
    }
  }
  for (int output : graph.outputs) {
    if (!over[output]) {
      return "an output without a product beside one with it";
    }
  }
  // Reductions outside the row multiplied.
  std::vector<bool> in_store(graph.values.size());
  for (int output : graph.outputs) {
    in_store[output] = true;
  }
  for (size_t i = graph.values.size(); i-- > 0;) {
    const Value& value = graph.values[i];
    if (!in_store[i] || value.op == Op::Product) {
      continue;
    }
    if (is_reduction(value.op)) {
      return fmt::format("{} of a row beside its product", name_of(value.op));
    }
    for (int k = 0; k < operands(value); ++k) {
      in_store[value.in[k]] = true;
    }
  }
  return "";
}

bool schedule_product(
    const Body& body,
    const Graph& graph,
    Program& program,
    std::string* why) {
  program.stage = Stage::Product;
  program.weights = graph.weights;
  *why = product_fault(graph);
  if (!why->empty()) {
    return false;
  }
  int row = -1;
  for (const Value& value : graph.values) {
    row = value.op == Op::Product ? value.in[0] : row;
  }
  auto rows = schedule_rows(graph, {{row, -1}}, body.inputs, why);
  auto store = schedule_store(graph, roots_of(body, graph), body.inputs, why);
  if (!rows || !store) {
    return false;
  }
  program.row = std::move(*rows);
  program.store = std::move(*store);
  return true;
}

} // namespace

int operands(const Instruction& it) {
  return count_values(operation(it.op));
}

std::optional<Program>
lower(const Body& body, const std::vector<Type>& inputs, std::string* why) {
  std::string unheard;
  why = why != nullptr ? why : &unheard;
  check_inputs(body, inputs);
  if (const Node* node = find_attention(body)) {
    return lower_attention(body, inputs, *node, why);
  }
  const TypedTrees typed = type(body, inputs);
  const Graph graph = simplified(typed.graph, inputs);
  Program program;
  program.inputs = inputs;
  program.outputs = typed.outputs;
  program.picked = find_picked(graph, inputs.size());
  program.roles = roles_of(body);
  program.space = body.space;
  const std::vector<Root> roots = roots_of(body, graph);
  const bool sums =
      std::any_of(roots.begin(), roots.end(), [](const Root& root) {
        return root.into != Into::Place;
      });
  const bool product = any_of(graph, [](Op op) { return op == Op::Product; });
  const bool top = any_of(graph, is_top);
  if (sums && (product || top)) {
    *why = "a sum over rows of what a product or a top-k gives";
    return {};
  }
  if (sums_along_rows_into_one_each(body, roots)) {
    *why = "a sum into one element per row of what varies along the row";
    return {};
  }
  if (product || top) {
    if (product ? !schedule_product(body, graph, program, why)
                : !schedule_top(body, graph, program, why)) {
      return {};
    }
  } else {
    // What knew the row may be folded away, and the output stays one per row.
    const bool short_one =
        std::any_of(roots.begin(), roots.end(), [](const Root& root) {
          return root.one_per_row;
        });
    program.stage =
        sums || short_one || any_of(graph, along_row) ? Stage::Row : Stage::Map;
    auto rows = schedule_rows(graph, roots, body.inputs, why);
    if (!rows) {
      return {};
    }
    program.row = std::move(*rows);
  }
  check(program);
  return program;
}

BodyTypes type_body(const Body& body, const std::vector<Type>& inputs) {
  check_inputs(body, inputs);
  TypedTrees typed = type(body, inputs);
  return {std::move(typed.outputs), std::move(typed.operands)};
}

std::vector<Type> infer_types(
    const Body& body,
    const std::vector<Type>& inputs) {
  return type_body(body, inputs).outputs;
}

} // namespace zmlx::lang
