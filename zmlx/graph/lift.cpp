#include "zmlx/graph/lift.h"

#include <algorithm>
#include <numeric>

#include "zmlx/base/errors.h"
#include "zmlx/graph/lifter.h"
#include "zmlx/graph/primitives.h"
#include "zmlx/graph/view.h"
#include "zmlx/op/convert.h"
#include "zmlx/op/primitive.h"

namespace zmlx::graph {

mx::array placeholder(mx::Shape shape, mx::Dtype dtype) {
  return mx::array(std::move(shape), dtype, nullptr, {});
}

Graph lift(
    const std::vector<Named>& placeholders,
    const std::vector<Named>& outputs,
    const NameOf& name_of,
    mx::Device device) {
  Lifter lifter(name_of);
  lifter.graph().device = device;
  for (const auto& p : placeholders) {
    lifter.add_placeholder(p);
  }
  for (const auto& output : outputs) {
    lifter.value_of(output.array);
  }
  auto graph = compact(lifter.take(outputs));
  check(graph);
  return graph;
}

namespace {

std::unordered_map<std::string, Rule>& rules() {
  static std::unordered_map<std::string, Rule> table;
  return table;
}

Result result_like(const mx::array& a) {
  return Result{
      .name = "out", .type = op::type_of(a), .shape = op::shape_of(a)};
}

} // namespace

AddRule::AddRule(std::string primitive, Rule rule) {
  if (!rules().emplace(primitive, std::move(rule)).second) {
    throw internal_error("two lifting rules for {}", primitive);
  }
}

const Rule* find_rule(const std::string& primitive) {
  auto found = rules().find(primitive);
  return found == rules().end() ? nullptr : &found->second;
}

void Lifter::add_placeholder(const Named& named) {
  Node node{.kind = Kind::Placeholder, .name = named.name, .slot = named.slot};
  node.results.push_back(result_like(named.array));
  node.array = named.array;
  values_.insert_or_assign(
      named.array.id(),
      Operand{
          .value = {static_cast<int>(graph_.nodes.size()), 0},
          .view = whole(op::shape_of(named.array))});
  depends_[named.array.id()] = true;
  graph_.nodes.push_back(std::move(node));
}

bool Lifter::depends_on_placeholder(const mx::array& root) {
  std::vector<const mx::array*> stack{&root};
  while (!stack.empty()) {
    const auto& a = *stack.back();
    if (depends_.contains(a.id())) {
      stack.pop_back();
      continue;
    }
    if (!a.has_primitive()) {
      depends_[a.id()] = false;
      continue;
    }
    bool ready = true;
    bool any = false;
    for (const auto& in : a.inputs()) {
      auto known = depends_.find(in.id());
      if (known == depends_.end()) {
        stack.push_back(&in);
        ready = false;
      } else {
        any = any || known->second;
      }
    }
    if (ready) {
      depends_[a.id()] = any;
    }
  }
  return depends_[root.id()];
}

Operand Lifter::value_of(const mx::array& root) {
  std::vector<mx::array> stack{root};
  while (!stack.empty()) {
    mx::array a = stack.back();
    if (values_.contains(a.id())) {
      stack.pop_back();
      continue;
    }
    bool ready = true;
    if (depends_on_placeholder(a)) {
      for (const auto& in : a.inputs()) {
        if (!values_.contains(in.id())) {
          stack.push_back(in);
          ready = false;
        }
      }
    }
    if (ready) {
      lift_one(a);
    }
  }
  return values_.at(root.id());
}

void Lifter::lift_one(const mx::array& a) {
  if (!depends_on_placeholder(a)) {
    add_constant(a);
    return;
  }
  std::vector<Operand> inputs;
  for (const auto& in : a.inputs()) {
    inputs.push_back(values_.at(in.id()));
  }
  if (op::call_of(a)) {
    add_call(a, inputs);
    return;
  }
  const std::string name = a.primitive().name();
  std::string why;
  if (const Rule* rule = find_rule(name); rule && op::find_type(a.dtype())) {
    if (auto value = (*rule)(*this, a, inputs, &why)) {
      values_.insert_or_assign(a.id(), *value);
      return;
    }
  } else {
    why = "no kernel for " + name;
  }
  add_foreign(a, inputs, why.empty() ? "no kernel for this " + name : why);
}

namespace {

/// The axes of an array in the order in which they lie in memory.
std::vector<int> memory_order(const mx::array& a) {
  std::vector<int> axes(a.ndim());
  std::iota(axes.begin(), axes.end(), 0);
  std::stable_sort(axes.begin(), axes.end(), [&](int i, int j) {
    return a.strides()[i] > a.strides()[j];
  });
  return axes;
}

} // namespace

void Lifter::add_constant(const mx::array& a) {
  Node node{.kind = Kind::Constant, .name = name_of_(a)};
  mx::array value = a;
  value.eval();
  // Storage is row-major: a transposed weight is turned back, without a copy,
  // and seen transposed; what lies otherwise is copied.
  auto axes = memory_order(value);
  auto storage = mx::transpose(value, axes);
  storage.eval();
  View view = whole(op::shape_of(value));
  if (storage.flags().row_contiguous) {
    auto strides = contiguous_strides(op::shape_of(storage));
    for (size_t i = 0; i < axes.size(); i++) {
      view.strides[axes[i]] = strides[i];
    }
  } else {
    storage = mx::contiguous(value);
    storage.eval();
  }
  node.results.push_back(result_like(storage));
  node.array = storage;
  values_.insert_or_assign(
      a.id(),
      Operand{
          .value = {static_cast<int>(graph_.nodes.size()), 0}, .view = view});
  graph_.nodes.push_back(std::move(node));
}

void Lifter::add_call(const mx::array& a, const std::vector<Operand>& inputs) {
  const auto* call = op::call_of(a);
  add_results(
      a,
      {.kind = Kind::Kernel,
       .name = call->kernel,
       .operands = inputs,
       .body = call->body});
}

void Lifter::add_foreign(
    const mx::array& a,
    const std::vector<Operand>& inputs,
    std::string reason) {
  add_results(
      a,
      {.kind = Kind::Foreign,
       .name = a.primitive().name(),
       .operands = inputs,
       .primitive = a.primitive_ptr(),
       .reason = std::move(reason)});
}

void Lifter::add_results(const mx::array& a, Node node) {
  const auto number = static_cast<int>(graph_.nodes.size());
  const auto siblings = a.outputs();
  for (size_t i = 0; i < siblings.size(); i++) {
    node.results.push_back(result_like(siblings[i]));
    values_.insert_or_assign(
        siblings[i].id(),
        Operand{
            .value = {number, static_cast<int>(i)},
            .view = whole(op::shape_of(siblings[i]))});
  }
  node.sites.push_back(node.name);
  graph_.nodes.push_back(std::move(node));
}

lang::Body copy_body() {
  lang::Body copy;
  copy.inputs.push_back({.name = "x"});
  copy.outputs.push_back({.name = "out", .value = lang::input(0), .like = 0});
  return copy;
}

Operand Lifter::emit(
    const mx::array& a,
    std::string name,
    lang::Body body,
    std::vector<Operand> operands) {
  Node node{
      .kind = Kind::Kernel,
      .name = std::move(name),
      .operands = std::move(operands),
      .body = std::move(body)};
  node.sites.push_back(node.name);
  node.results.push_back(result_like(a));
  // A body may give leading axes of 1 fewer or more than MLX's node; the
  // storage is the same.
  std::vector<lang::Shape> shapes;
  for (const auto& operand : node.operands) {
    shapes.push_back(operand.view.shape);
  }
  node.results[0].shape = lang::infer_shapes(node.body, shapes)[0];
  if (element_count(node.results[0].shape) != static_cast<int64_t>(a.size())) {
    throw internal_error("the kernel for {} has another size", node.name);
  }
  Operand made{
      .value = {static_cast<int>(graph_.nodes.size()), 0},
      .view = whole(op::shape_of(a))};
  graph_.nodes.push_back(std::move(node));
  return made;
}

Operand Lifter::reshaped(const mx::array& a, const Operand& operand) {
  if (auto view = reshape(operand.view, op::shape_of(a))) {
    return Operand{.value = operand.value, .view = *view};
  }
  return emit(a, "copy", copy_body(), {operand});
}

std::optional<double> Lifter::constant_number(const Operand& operand) const {
  const auto& node = graph_.nodes[operand.value.node];
  if (node.kind != Kind::Constant || node.array->size() != 1 ||
      !lang::is_float(node.results[0].type)) {
    return std::nullopt;
  }
  auto value = *node.array;
  return value.dtype() == mx::float64
      ? value.item<double>()
      : static_cast<double>(mx::astype(value, mx::float32).item<float>());
}

Graph Lifter::take(const std::vector<Named>& outputs) {
  for (const auto& output : outputs) {
    graph_.outputs.push_back({output.name, values_.at(output.array.id())});
  }
  return std::move(graph_);
}

} // namespace zmlx::graph
