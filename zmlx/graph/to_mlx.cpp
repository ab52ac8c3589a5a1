#include "zmlx/graph/to_mlx.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "zmlx/base/errors.h"
#include "zmlx/graph/primitives.h"
#include "zmlx/graph/view.h"
#include "zmlx/op/convert.h"
#include "zmlx/op/primitive.h"

namespace zmlx::graph {
namespace {

/// MLX has default streams for its own devices only; another one, which has a
/// peer and no more, gets a stream here.
mx::Stream stream_of(mx::Device device) {
  if (mx::is_available(device)) {
    return mx::default_stream(device);
  }
  static std::mutex mutex;
  static std::map<mx::Device, mx::Stream> made;
  std::lock_guard lock(mutex);
  const auto known = made.find(device);
  return known != made.end()
      ? known->second
      : made.emplace(device, mx::new_thread_unsafe_stream(device))
            .first->second;
}

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
    auto results = op::apply(
        op::make_call(node.name, node.body),
        operands,
        stream_of(graph_.device));
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
      return is_whole(view, element_count(op::shape_of(base)))
          ? mx::reshape(base, op::to_mlx(view.shape))
          : strided(base, view);
    }
    // All places where the view may stand, of which one is taken.
    auto all = view;
    all.at = {};
    all.shape.insert(all.shape.begin(), places(base, view));
    all.strides.insert(all.strides.begin(), view.at_stride);
    return mx::reshape(
        mx::take(strided(base, all), place(view.at), 0),
        op::to_mlx(view.shape));
  }

  mx::array strided(const mx::array& base, const View& view) const {
    mx::Strides strides(view.strides.begin(), view.strides.end());
    return mx::as_strided(
        mx::contiguous(base),
        op::to_mlx(view.shape),
        std::move(strides),
        static_cast<size_t>(view.offset));
  }

  /// How many places of a placed view lie within its storage.
  static int64_t places(const mx::array& base, const View& view) {
    int64_t last = view.offset;
    for (size_t i = 0; i < view.shape.size(); i++) {
      last += std::max<int64_t>(0, (view.shape[i] - 1) * view.strides[i]);
    }
    return (static_cast<int64_t>(base.size()) - 1 - last) / view.at_stride + 1;
  }

  /// The axis of `base` along which `at` moves the view.
  int placed_axis(const mx::array& base, const View& view) const {
    auto strides = contiguous_strides(op::shape_of(base));
    for (size_t i = 0; i < strides.size(); i++) {
      if (strides[i] == view.at_stride) {
        return static_cast<int>(i);
      }
    }
    throw internal_error("to_mlx: a view is placed along no axis");
  }

  mx::array write(const Operand& target, const mx::array& part) const {
    auto base = value(target.value);
    int axis = placed_axis(base, target.view);
    auto in_order = mx::transpose(
        mx::reshape(part, op::to_mlx(target.view.shape)),
        memory_order(target.view));
    auto shape = base.shape();
    shape[axis] = 1;
    return mx::slice_update(
        base, mx::reshape(in_order, shape), place(target.view.at), {axis});
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
