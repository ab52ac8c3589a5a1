#include "zmlx/graph/to_mlx.h"

#include <algorithm>

#include "zmlx/base/errors.h"
#include "zmlx/graph/primitives.h"
#include "zmlx/graph/view.h"
#include "zmlx/op/convert.h"
#include "zmlx/op/primitive.h"

namespace zmlx::graph {
namespace {

class Builder {
 public:
  Builder(const Graph& graph, const std::vector<mx::array>& inputs)
      : graph_(graph), inputs_(inputs), made_(graph.nodes.size()) {}

  std::vector<mx::array> run() {
    for (size_t n = 0; n < graph_.nodes.size(); n++) {
      made_[n] = make(graph_.nodes[n]);
    }
    std::vector<mx::array> outputs;
    for (const auto& output : graph_.outputs) {
      outputs.push_back(read(output.value));
    }
    return outputs;
  }

 private:
  std::vector<mx::array> make(const Node& node) {
    switch (node.kind) {
      case Kind::Placeholder:
        if (next_input_ == inputs_.size()) {
          throw internal_error("to_mlx: no array for {}", node.name);
        }
        return {inputs_[next_input_++]};
      case Kind::Constant:
        return {*node.array};
      case Kind::Kernel:
        return make_kernel(node);
      case Kind::Foreign:
        return make_foreign(node);
    }
    return {};
  }

  std::vector<mx::array> make_kernel(const Node& node) {
    std::vector<mx::array> operands;
    for (const auto& operand : node.operands) {
      operands.push_back(read(operand));
    }
    auto results = op::apply(node.name, node.body, operands);
    for (size_t i = 0; i < results.size(); i++) {
      if (const auto& target = node.results[i].target) {
        results[i] = write(*target, results[i]);
      }
    }
    return results;
  }

  std::vector<mx::array> make_foreign(const Node& node) {
    std::vector<mx::array> operands;
    for (const auto& operand : node.operands) {
      operands.push_back(read(operand));
    }
    std::vector<mx::Shape> shapes;
    std::vector<mx::Dtype> types;
    for (const auto& result : node.results) {
      shapes.push_back(op::to_mlx(result.shape));
      types.push_back(op::to_mlx(result.type));
    }
    return mx::array::make_arrays(shapes, types, node.primitive, operands);
  }

  mx::array value(Ref ref) const {
    return made_[ref.node].at(ref.result);
  }

  /// The index that places a view, as a 1-element int32 array.
  mx::array place(Ref at) const {
    return mx::reshape(mx::astype(value(at), mx::int32), {1});
  }

  mx::array read(const Operand& operand) const {
    auto base = value(operand.value);
    const auto& view = operand.view;
    if (view.at.node < 0) {
      if (graph_.nodes[operand.value.node].kind == Kind::Constant &&
          !base.flags().row_contiguous) {
        return permuted(base, view);
      }
      if (is_whole(view, element_count(op::shape_of(base)))) {
        return mx::reshape(base, op::to_mlx(view.shape));
      }
      return strided(base, view);
    }
    int axis = placed_axis(base, view);
    auto row = mx::take(base, place(view.at), axis);
    View rest = view;
    rest.at = {};
    return mx::reshape(row, op::to_mlx(rest.shape));
  }

  /// A constant that MLX holds in another order than row-major: only its axes
  /// may be seen in another order than it has.
  mx::array permuted(const mx::array& base, const View& view) const {
    std::vector<int> axes;
    for (size_t i = 0; i < view.shape.size(); i++) {
      for (size_t j = 0; j < base.ndim(); j++) {
        bool taken = std::find(axes.begin(), axes.end(), j) != axes.end();
        if (!taken && base.shape(j) == view.shape[i] &&
            base.strides()[j] == view.strides[i]) {
          axes.push_back(static_cast<int>(j));
          break;
        }
      }
    }
    if (axes.size() != base.ndim() || view.offset != 0) {
      throw internal_error("to_mlx: a constant is seen in a way of its own");
    }
    return mx::transpose(base, axes);
  }

  mx::array strided(const mx::array& base, const View& view) const {
    mx::Strides strides(view.strides.begin(), view.strides.end());
    return mx::as_strided(
        mx::contiguous(base),
        op::to_mlx(view.shape),
        std::move(strides),
        static_cast<size_t>(view.offset));
  }

  /// The axis of `base` along which `at` moves the view.
  int placed_axis(const mx::array& base, const View& view) const {
    auto strides = contiguous_strides(op::shape_of(base));
    for (size_t i = 0; i < strides.size(); i++) {
      if (strides[i] == view.at_stride && base.shape(i) > 1) {
        return static_cast<int>(i);
      }
    }
    throw internal_error("to_mlx: a view is placed along no axis");
  }

  mx::array write(const Operand& target, const mx::array& part) const {
    auto base = value(target.value);
    int axis = placed_axis(base, target.view);
    return mx::slice_update(
        base,
        mx::reshape(part, op::to_mlx(target.view.shape)),
        place(target.view.at),
        {axis});
  }

  const Graph& graph_;
  const std::vector<mx::array>& inputs_;
  size_t next_input_ = 0;
  std::vector<std::vector<mx::array>> made_;
};

} // namespace

std::vector<mx::array> to_mlx(
    const Graph& graph,
    const std::vector<mx::array>& inputs) {
  return Builder(graph, inputs).run();
}

} // namespace zmlx::graph
