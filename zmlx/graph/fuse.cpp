#include "zmlx/graph/fuse.h"

#include <algorithm>

#include "zmlx/base/errors.h"
#include "zmlx/graph/view.h"
#include "zmlx/op/executables.h"

namespace zmlx::graph {

using lang::Expr;

namespace {

bool stands_alone(const lang::Body& body) {
  const auto sums = [](const lang::Output& output) {
    return output.sum_like >= 0 || output.into;
  };
  const auto by_rows = [](const lang::Input& input) {
    return input.role == lang::Role::EachRow || input.role == lang::Role::Table;
  };
  return std::any_of(body.outputs.begin(), body.outputs.end(), sums) ||
      std::any_of(body.inputs.begin(), body.inputs.end(), by_rows);
}

bool counts_places(lang::Op op) {
  return op == lang::Op::RowIndex || op == lang::Op::Random ||
      op == lang::Op::CumSum || op == lang::Op::TopValues ||
      op == lang::Op::TopPlaces || op == lang::Op::Extent;
}

} // namespace

Form form_of(const lang::Body& body) {
  Form form = stands_alone(body) ? Form::Alone : Form::Map;
  lang::for_each_node(lang::roots(body), [&](const lang::Node& node) {
    if (counts_places(node.op)) {
      form = Form::Alone;
    } else if (node.op == lang::Op::Attention) {
      form = std::max(form, Form::Attention);
    } else if (node.op == lang::Op::Product) {
      form = std::max(form, Form::Product);
    } else if (lang::is_reduction(node.op)) {
      form = std::max(form, Form::Row);
    }
  });
  return form;
}

namespace {

/// The inputs of a kernel that is being put together: each operand once.
struct Operands {
  std::vector<lang::Input> inputs;
  std::vector<Operand> operands;

  int add(const lang::Input& input, const Operand& operand) {
    for (size_t i = 0; i < operands.size(); i++) {
      if (operands[i] == operand && inputs[i].role == input.role) {
        return static_cast<int>(i);
      }
    }
    auto number = static_cast<int>(operands.size());
    inputs.push_back({.name = fmt::format("x{}", number), .role = input.role});
    operands.push_back(operand);
    return number;
  }

  std::vector<Expr> add_all(const Node& node) {
    std::vector<Expr> places;
    for (size_t i = 0; i < node.operands.size(); i++) {
      places.push_back(lang::input(add(node.body.inputs[i], node.operands[i])));
    }
    return places;
  }
};

/// The body gives the shapes that the node's readers count on, and a back end
/// has a stage for it.
bool has_kernel(const Graph& graph, const Node& node, std::string* why) {
  const auto types = operand_types(graph, node);
  std::vector<lang::Shape> shapes;
  for (const auto& operand : node.operands) {
    shapes.push_back(operand.view.shape);
  }
  try {
    const auto made = lang::infer_shapes(node.body, shapes);
    for (size_t i = 0; i < made.size(); i++) {
      if (made[i] != node.results[i].shape) {
        *why = "together they make another shape";
        return false;
      }
    }
    lang::infer_types(node.body, types);
  } catch (const UserError& e) { // how these say that a body does not fit
    *why = e.what();
    return false;
  }
  if (auto reason = op::unsupported(node.body, types, graph.device)) {
    *why = *reason;
    return false;
  }
  return true;
}

/// True where the body reads input `number` in ways that need an array: by
/// index, or as an operand of a stage.
bool needs_array(const lang::Body& body, int number) {
  if (body.inputs[number].role != lang::Role::Element) {
    return true;
  }
  bool needs = false;
  lang::for_each_node(lang::roots(body), [&](const lang::Node& node) {
    size_t arrays = node.op == lang::Op::Pick ? 1
        : node.op == lang::Op::Attention      ? node.args.size()
                                              : 0;
    for (size_t i = 0; i < arrays; i++) {
      needs = needs ||
          (node.args[i]->op == lang::Op::Input &&
           node.args[i]->input == number);
    }
  });
  return needs;
}

/// The producer's operand, seen under the shape in which the consumer reads the
/// producer's result; nothing where strides cannot say it.
std::optional<Operand> under_shape(
    const Operand& operand,
    const lang::Input& input,
    const lang::Shape& made,
    const lang::Shape& read) {
  if (made == read || input.role == lang::Role::Scalar ||
      input.role == lang::Role::Whole) {
    return operand;
  }
  if (input.role == lang::Role::Row ||
      (!made.empty() && !read.empty() && made.back() != read.back())) {
    return std::nullopt;
  }
  auto view = reshape(broadcast_to(operand.view, made), read);
  if (!view) {
    return std::nullopt;
  }
  return Operand{.value = operand.value, .view = *view};
}

bool only_reader(
    const Graph& graph,
    int producer,
    int consumer,
    std::string* why) {
  // Asked of every pair: no table of all readers is made for it.
  bool elsewhere = false;
  for (int n = 0; n < static_cast<int>(graph.nodes.size()); n++) {
    for_each_ref(graph.nodes[n], [&](Ref ref, int operand) {
      elsewhere =
          elsewhere || (ref.node == producer && (n != consumer || operand < 0));
    });
  }
  for (const auto& output : graph.outputs) {
    elsewhere = elsewhere || output.value.value.node == producer;
  }
  if (elsewhere) {
    *why = "its result is read elsewhere too";
    return false;
  }
  for (const auto& result : graph.nodes[producer].results) {
    if (result.target) {
      *why = "its result is written into a cache";
      return false;
    }
  }
  return true;
}

/// The shape in which the consumer reads the producer, the same for all reads.
std::optional<lang::Shape> shape_read(
    const Graph& graph,
    int producer,
    const Node& consumer,
    std::string* why) {
  std::optional<lang::Shape> shape;
  for (size_t i = 0; i < consumer.operands.size(); i++) {
    const auto& operand = consumer.operands[i];
    if (operand.value.node != producer) {
      continue;
    }
    const auto& made = graph.result(operand.value).shape;
    if (needs_array(consumer.body, static_cast<int>(i))) {
      *why = "its reader needs it as an array";
      return std::nullopt;
    }
    if (!is_whole(operand.view, element_count(made)) ||
        (shape && *shape != operand.view.shape)) {
      *why = "its reader sees it in another order";
      return std::nullopt;
    }
    shape = operand.view.shape;
  }
  return shape;
}

/// The producer's operands as inputs of the new kernel.
std::optional<std::vector<Expr>> add_producer(
    Operands& all,
    const Node& producer,
    const lang::Shape& read,
    bool product) {
  std::vector<Expr> places;
  for (size_t i = 0; i < producer.operands.size(); i++) {
    const auto& input = producer.body.inputs[i];
    const auto& made = producer.results[0].shape;
    std::optional<Operand> operand = producer.operands[i];
    if (product && (read.empty() || made.back() != read.back())) {
      return std::nullopt;
    }
    if (product && made != read && input.role == lang::Role::Element) {
      // A product's row has its own length: only leading axes may change.
      lang::Shape shape = read;
      shape.back() = operand->view.shape.back();
      auto view = reshape(operand->view, shape);
      operand =
          view ? std::optional(Operand{operand->value, *view}) : std::nullopt;
    } else {
      operand = under_shape(*operand, input, made, read);
    }
    if (!operand) {
      return std::nullopt;
    }
    places.push_back(lang::input(all.add(input, *operand)));
  }
  return places;
}

bool makes_whole_rows(const Node& node) {
  const auto short_ones = lang::one_per_row(node.body);
  return node.body.space.empty() &&
      std::find(short_ones.begin(), short_ones.end(), true) == short_ones.end();
}

/// The consumer with the producer's formula, over `places`, in the place of
/// what it reads of it.
Node substituted(
    const Node& consumer,
    const Node& producer,
    int producer_number,
    const std::vector<Expr>& places,
    Operands& all) {
  std::vector<Expr> values;
  for (size_t i = 0; i < consumer.operands.size(); i++) {
    const auto& operand = consumer.operands[i];
    if (operand.value.node != producer_number) {
      values.push_back(lang::input(all.add(consumer.body.inputs[i], operand)));
      continue;
    }
    // What was stored is read in its own type, whatever made it.
    const int r = operand.value.result;
    const auto type = producer.results[r].type;
    const auto value = lang::substitute(producer.body.outputs[r].value, places);
    values.push_back(lang::cast(type, lang::as(type, value)));
  }
  Node fused = consumer;
  for (size_t o = 0; o < fused.body.outputs.size(); o++) {
    auto& output = fused.body.outputs[o];
    output.value = lang::substitute(output.value, values);
    output.like = -1;
    output.fixed = consumer.results[o].type;
  }
  for (auto& axis : fused.body.space) {
    axis.input = axis.input < 0 ? -1 : values[axis.input]->input;
  }
  fused.body.inputs = all.inputs;
  fused.operands = all.operands;
  return fused;
}

template <typename T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

} // namespace

bool fuse(Graph& graph, int producer, int consumer, std::string* why) {
  const Node& p = graph.nodes[producer];
  const Node& c = graph.nodes[consumer];
  if (p.kind != Kind::Kernel || c.kind != Kind::Kernel) {
    *why = "one of the two is not a kernel";
    return false;
  }
  if (form_of(p.body) == Form::Alone || form_of(c.body) == Form::Alone) {
    *why = "one of the two stands alone";
    return false;
  }
  if (!only_reader(graph, producer, consumer, why)) {
    return false;
  }
  if (!makes_whole_rows(p)) {
    *why = "its rows have a width of their own";
    return false;
  }
  auto read = shape_read(graph, producer, c, why);
  if (!read) {
    return false;
  }
  Operands all;
  auto places = add_producer(all, p, *read, form_of(p.body) == Form::Product);
  if (!places) {
    *why = "its operands do not take the shape that its reader sees";
    return false;
  }
  Node fused = substituted(c, p, producer, *places, all);
  if (!has_kernel(graph, fused, why)) {
    return false;
  }
  fused.sites = p.sites;
  append(fused.sites, c.sites);
  fused.folds = p.folds;
  append(fused.folds, c.folds);
  graph.nodes[consumer] = std::move(fused);
  // Left without readers, so that compact() drops it.
  graph.nodes[producer].operands.clear();
  graph.nodes[producer].body = {};
  graph.nodes[producer].kind = Kind::Constant;
  return true;
}

bool merge(Graph& graph, int first, int second, std::string* why) {
  const Node& a = graph.nodes[first];
  const Node& b = graph.nodes[second];
  if (form_of(a.body) == Form::Alone || form_of(b.body) == Form::Alone) {
    *why = "one of the two stands alone";
    return false;
  }
  for (const auto& operand : b.operands) {
    if (operand.value.node >= first &&
        graph.nodes[operand.value.node].kind != Kind::Constant) {
      *why = "an operand of the second is made after the first";
      return false;
    }
  }
  Operands all;
  auto in_a = all.add_all(a);
  auto in_b = all.add_all(b);
  Node merged = a;
  merged.body = {};
  auto add_outputs = [&](const Node& node, const std::vector<Expr>& places) {
    for (size_t o = 0; o < node.body.outputs.size(); o++) {
      merged.body.outputs.push_back(
          {.name = fmt::format("out{}", merged.body.outputs.size()),
           .value = lang::substitute(node.body.outputs[o].value, places),
           .fixed = node.results[o].type});
    }
  };
  add_outputs(a, in_a);
  add_outputs(b, in_b);
  merged.body.inputs = all.inputs;
  merged.operands = all.operands;
  append(merged.results, b.results);
  if (!has_kernel(graph, merged, why)) {
    return false;
  }
  auto offset = static_cast<int>(a.results.size());
  append(merged.sites, b.sites);
  append(merged.folds, b.folds);
  graph.nodes[first] = std::move(merged);
  graph.nodes[second] = Node{.kind = Kind::Constant, .name = "merged"};
  auto move = [&](Ref& ref) {
    if (ref.node == second) {
      ref = {first, ref.result + offset};
    }
  };
  for (auto& node : graph.nodes) {
    for (auto& operand : node.operands) {
      move(operand.value);
    }
    for (auto& result : node.results) {
      if (result.target) {
        move(result.target->value);
      }
    }
  }
  for (auto& output : graph.outputs) {
    move(output.value.value);
  }
  return true;
}

} // namespace zmlx::graph
