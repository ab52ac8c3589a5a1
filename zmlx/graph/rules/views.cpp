// Primitives that move no data: they change how the same storage is seen.

#include "zmlx/graph/lifter.h"
#include "zmlx/graph/primitives.h"
#include "zmlx/graph/view.h"
#include "zmlx/op/convert.h"

namespace zmlx::graph {
namespace {

using Inputs = std::vector<Operand>;

std::optional<Operand> lift_reshape(
    Lifter& lifter,
    const mx::array& a,
    const Inputs& in,
    std::string*) {
  return lifter.reshaped(a, in[0]);
}

std::optional<Operand>
lift_same(Lifter&, const mx::array&, const Inputs& in, std::string*) {
  return in[0];
}

std::optional<Operand>
lift_transpose(Lifter&, const mx::array& a, const Inputs& in, std::string*) {
  const auto& primitive = static_cast<const mx::Transpose&>(a.primitive());
  return Operand{
      .value = in[0].value, .view = transpose(in[0].view, primitive.state())};
}

std::optional<Operand>
lift_broadcast(Lifter&, const mx::array& a, const Inputs& in, std::string*) {
  return Operand{
      .value = in[0].value, .view = broadcast_to(in[0].view, op::shape_of(a))};
}

std::optional<Operand>
lift_slice(Lifter&, const mx::array& a, const Inputs& in, std::string*) {
  const auto& primitive = static_cast<const mx::Slice&>(a.primitive());
  auto [start, stop, step] = primitive.state();
  return Operand{
      .value = in[0].value,
      .view = slice(
          in[0].view, op::to_lang(start), op::to_lang(step), op::shape_of(a))};
}

/// A placeholder of one int32: what may place a view when the step runs.
bool is_placing(const Graph& graph, const Operand& operand) {
  const auto& node = graph.nodes[operand.value.node];
  auto type = node.results[operand.value.result].type;
  return node.kind == Kind::Placeholder &&
      element_count(node.results[0].shape) == 1 &&
      (type == lang::Type::I32 || type == lang::Type::U32);
}

/// One row of a table, named by a placeholder: a view, nothing is copied.
std::optional<Operand> lift_gather(
    Lifter& lifter,
    const mx::array& a,
    const Inputs& in,
    std::string* why) {
  const auto& primitive = static_cast<const mx::Gather&>(a.primitive());
  auto [axes, slice_sizes] = primitive.state();
  if (in.size() != 2 || !is_placing(lifter.graph(), in[1]) ||
      in[0].view.at.node >= 0) {
    *why = "Gather other than of one row that an input names";
    return std::nullopt;
  }
  int axis = axes[0];
  for (size_t i = 0; i < slice_sizes.size(); i++) {
    bool full = slice_sizes[i] == in[0].view.shape[i];
    if (static_cast<int>(i) == axis ? slice_sizes[i] != 1 : !full) {
      *why = "Gather of a part of each row";
      return std::nullopt;
    }
  }
  View view = in[0].view;
  view.at = in[1].value;
  view.at_stride = view.strides[axis];
  view.shape[axis] = 1;
  size_t lead = a.ndim() - view.shape.size();
  view.shape.insert(view.shape.begin(), lead, 1);
  view.strides.insert(view.strides.begin(), lead, 0);
  return Operand{.value = in[0].value, .view = view};
}

/// A cache that is written at a place which a placeholder names.
std::optional<Operand> lift_update(
    Lifter& lifter,
    const mx::array& a,
    const Inputs& in,
    std::string* why) {
  const auto& primitive =
      static_cast<const mx::DynamicSliceUpdate&>(a.primitive());
  auto& graph = lifter.graph();
  auto axes = primitive.state();
  auto storage = storage_of(graph, in[0].value);
  if (axes.size() != 1 || !is_placing(graph, in[2]) ||
      graph.nodes[storage.node].kind != Kind::Placeholder ||
      !is_permuted_whole(
          in[0].view, element_count(storage_shape(graph, in[0].value)))) {
    *why = "an update of other than a cache at a given position";
    return std::nullopt;
  }
  View part = in[0].view;
  part.shape = in[1].view.shape;
  part.at = in[2].value;
  part.at_stride = part.strides[axes[0]];
  Node node{
      .kind = Kind::Kernel,
      .name = "cache_update",
      .operands = {in[1]},
      .body = copy_body()};
  node.sites.push_back(graph.nodes[storage.node].name);
  node.results.push_back(
      {.name = "out",
       .type = op::type_of(a),
       .shape = part.shape,
       .target = Operand{.value = in[0].value, .view = part}});
  // Who reads the result sees the whole storage as the update saw it.
  Operand made{
      .value = {static_cast<int>(graph.nodes.size()), 0}, .view = in[0].view};
  graph.nodes.push_back(std::move(node));
  return made;
}

const AddRule kReshape("Reshape", lift_reshape);
const AddRule kFlatten("Flatten", lift_reshape);
const AddRule kUnflatten("Unflatten", lift_reshape);
const AddRule kExpandDims("ExpandDims", lift_reshape);
const AddRule kSqueeze("Squeeze", lift_reshape);
const AddRule kCopy("Copy", lift_same);
const AddRule kContiguous("Contiguous", lift_same);
const AddRule kStopGradient("StopGradient", lift_same);
const AddRule kTranspose("Transpose", lift_transpose);
const AddRule kBroadcast("Broadcast", lift_broadcast);
const AddRule kBroadcastAxes("BroadcastAxes", lift_broadcast);
const AddRule kSlice("Slice", lift_slice);
const AddRule kGather("Gather", lift_gather);
const AddRule kUpdate("DynamicSliceUpdate", lift_update);

} // namespace
} // namespace zmlx::graph
