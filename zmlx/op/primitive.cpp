#include "zmlx/op/primitive.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include <mlx/primitives.h>

#include "zmlx/backend/backend.h"
#include "zmlx/base/errors.h"
#include "zmlx/base/log.h"
#include "zmlx/lang/derive.h"
#include "zmlx/op/convert.h"
#include "zmlx/op/reference.h"
#include "zmlx/op/split.h"
#include "zmlx/op/vmap.h"

namespace zmlx::op {

namespace {

struct FallbackTable {
  std::mutex mutex;
  std::map<std::pair<std::string, std::string>, int64_t> counts;
};

FallbackTable& fallback_table() {
  static auto* table = new FallbackTable;
  return *table;
}

void count_fallback(const std::string& kernel, const std::string& reason) {
  std::lock_guard lock(fallback_table().mutex);
  auto& count = fallback_table().counts[{kernel, reason}];
  if (count++ == 0) {
    log_debug("{} runs as MLX operations: {}", kernel, reason);
  }
}

class KernelNode final : public mx::Primitive {
 public:
  KernelNode(mx::Stream stream, std::shared_ptr<const Call> call)
      : Primitive(stream), call_(std::move(call)) {}

  const std::shared_ptr<const Call>& call() const {
    return call_;
  }

  void eval_cpu(
      const std::vector<mx::array>& inputs,
      std::vector<mx::array>& outputs) override {
    evaluate(inputs, outputs);
  }

  void eval_gpu(
      const std::vector<mx::array>& inputs,
      std::vector<mx::array>& outputs) override {
    evaluate(inputs, outputs);
  }

  std::vector<mx::array> vjp(
      const std::vector<mx::array>& primals,
      const std::vector<mx::array>& cotangents,
      const std::vector<int>& argnums,
      const std::vector<mx::array>& outputs) override {
    // MLX counts neither; one too few would silently shift the others.
    if (cotangents.size() != outputs.size() ||
        outputs.size() != call_->body.outputs.size()) {
      throw internal_error(
          "{}: {} cotangents for {} outputs",
          call_->kernel,
          cotangents.size(),
          call_->body.outputs.size());
    }
    std::vector<int> wanted;
    for (int i : argnums) {
      if (mx::issubdtype(primals[i].dtype(), mx::floating)) {
        wanted.push_back(i);
      }
    }
    auto given = gradients(primals, cotangents, outputs, wanted);
    std::vector<mx::array> result;
    size_t next = 0;
    for (int i : argnums) {
      result.push_back(
          next < wanted.size() && wanted[next] == i
              ? given[next++]
              : mx::zeros_like(primals[i], stream()));
    }
    return result;
  }

  std::vector<mx::array> jvp(
      const std::vector<mx::array>& primals,
      const std::vector<mx::array>& tangents,
      const std::vector<int>& argnums) override {
    return mx::jvp(
               restricted(primals, argnums), chosen(primals, argnums), tangents)
        .second;
  }

  std::pair<std::vector<mx::array>, std::vector<int>> vmap(
      const std::vector<mx::array>& inputs,
      const std::vector<int>& axes) override {
    auto outputs = op::vmap(call_, inputs, axes, stream());
    return {outputs, std::vector<int>(outputs.size(), 0)};
  }

  const char* name() const override {
    return call_->kernel.c_str();
  }

  bool is_equivalent(const mx::Primitive& other) const override {
    const auto* node = dynamic_cast<const KernelNode*>(&other);
    return node && (node->call_ == call_ || node->call_->key == call_->key);
  }

  std::vector<mx::Shape> output_shapes(
      const std::vector<mx::array>& inputs) override {
    std::vector<mx::Shape> shapes;
    for (const auto& shape :
         lang::infer_shapes(call_->body, shapes_of(inputs))) {
      shapes.push_back(to_mlx(shape));
    }
    return shapes;
  }

 private:
  // Of each wanted input, in order: those that are kernels of their own, and
  // the others in one.
  std::vector<mx::array> gradients(
      const std::vector<mx::array>& primals,
      const std::vector<mx::array>& cotangents,
      const std::vector<mx::array>& outputs,
      const std::vector<int>& wanted) {
    std::vector<int> together;
    for (int i : wanted) {
      if (!lang::stands_apart(call_->body, i)) {
        together.push_back(i);
      }
    }
    const auto shared =
        gradients_in_one(primals, cotangents, outputs, together);
    std::vector<mx::array> result;
    for (int i : wanted) {
      const auto at = std::find(together.begin(), together.end(), i);
      result.push_back(
          at != together.end()
              ? shared[at - together.begin()]
              : gradients_in_one(primals, cotangents, outputs, {i})[0]);
    }
    return result;
  }

  std::vector<mx::array> gradients_in_one(
      const std::vector<mx::array>& primals,
      const std::vector<mx::array>& cotangents,
      const std::vector<mx::array>& outputs,
      const std::vector<int>& wanted) {
    if (wanted.empty()) {
      return {};
    }
    std::string why;
    if (auto call = call_->gradient(wanted, &why)) {
      return op::apply(
          call,
          gradient_inputs(call->body, primals, cotangents, outputs),
          stream());
    }
    if (!call_->split) {
      count_fallback(call_->kernel, "its gradient: " + why);
    }
    const auto function = restricted(primals, wanted);
    return mx::vjp(
               [&](const std::vector<mx::array>& given) {
                 auto results = function(given);
                 for (auto& result : results) {
                   result = not_stopped(result, stream());
                 }
                 return results;
               },
               chosen(primals, wanted),
               cotangents)
        .second;
  }

  void throw_fault(const std::optional<backend::Fault>& fault) const {
    if (!fault) {
      return;
    }
    throw user_error(
        "{}: index {} is outside the {} {} of {}",
        call_->kernel,
        fault->index,
        fault->length,
        fault->rows ? "rows" : "places of a row",
        fault->output ? call_->body.outputs[fault->number].name
                      : call_->body.inputs[fault->number].name);
  }

  // MLX's vjp takes no cotangent for an output that is a stop_gradient, and so
  // gives it to the next.
  static mx::array not_stopped(const mx::array& a, mx::Stream s) {
    const bool stopped = a.has_primitive() &&
        std::string_view(a.primitive().name()) == "StopGradient";
    return stopped ? mx::contiguous(a, false, s) : a;
  }

  static std::vector<mx::array> chosen(
      const std::vector<mx::array>& primals,
      const std::vector<int>& argnums) {
    std::vector<mx::array> out;
    for (int i : argnums) {
      out.push_back(primals[i]);
    }
    return out;
  }

  // What MLX can differentiate, as a function of some inputs: the others, such
  // as packed weights and indices, have no derivative and must not be asked for
  // one.
  std::function<std::vector<mx::array>(const std::vector<mx::array>&)>
  restricted(
      const std::vector<mx::array>& primals,
      const std::vector<int>& argnums) {
    return [call = call_, s = stream(), primals, argnums](
               const std::vector<mx::array>& given) {
      auto all = primals;
      for (size_t i = 0; i < argnums.size(); ++i) {
        all[argnums[i]] = given[i];
      }
      return call->split
          ? apply_split(*call->split, all, call->results(all)->dtypes, s)
          : reference(call->body, all, Precision::Compute, s);
    };
  }

  void evaluate(
      const std::vector<mx::array>& inputs,
      std::vector<mx::array>& outputs) {
    const auto ready = call_->ready(inputs, stream().device);
    if (!ready->executable) {
      evaluate_reference(inputs, outputs, ready->reason);
      return;
    }
    throw_fault(ready->executable->evaluate(stream(), inputs, outputs));
  }

  // The same memory as a leaf of a graph of its own, on the stream that fills
  // it.
  static mx::array leaf_of(const mx::array& in) {
    mx::array leaf(in.shape(), in.dtype(), nullptr, {});
    leaf.copy_shared_buffer(in);
    leaf.set_status(mx::array::Status::available);
    return leaf;
  }

  void evaluate_reference(
      const std::vector<mx::array>& inputs,
      std::vector<mx::array>& outputs,
      const std::string& reason) {
    count_fallback(call_->kernel, reason);
    if (std::ranges::all_of(outputs, [](auto& a) { return a.size() == 0; })) {
      for (auto& output : outputs) { // MLX's CUDA fails on some of them
        output.set_data(mx::allocator::malloc(0));
      }
      return;
    }
    std::vector<mx::array> leaves;
    for (const auto& in : inputs) {
      leaves.push_back(leaf_of(in));
    }
    auto results = reference(call_->body, leaves, Precision::Compute, stream());
    for (auto& result : results) {
      result = mx::contiguous(result, false, stream());
    }
    mx::async_eval(results);
    for (size_t i = 0; i < outputs.size(); ++i) {
      outputs[i].copy_shared_buffer(results[i]);
    }
  }

  std::shared_ptr<const Call> call_;
};

const KernelNode* node_of(const mx::array& a) {
  return a.has_primitive() ? dynamic_cast<const KernelNode*>(&a.primitive())
                           : nullptr;
}

} // namespace

std::vector<mx::array> apply(
    const std::shared_ptr<const Call>& call,
    std::vector<mx::array> inputs,
    mx::StreamOrDevice stream) {
  const auto results = call->results(inputs);
  if (call->split && call->split->reduces) {
    return apply_split(*call->split, inputs, results->dtypes, stream);
  }
  auto node = std::make_shared<KernelNode>(mx::to_stream(stream), call);
  if (results->shapes.size() == 1) {
    return {mx::array(
        results->shapes[0],
        results->dtypes[0],
        std::move(node),
        std::move(inputs))};
  }
  return mx::array::make_arrays(
      results->shapes, results->dtypes, std::move(node), inputs);
}

std::vector<mx::array> apply(
    const std::string& kernel,
    const lang::Body& body,
    std::vector<mx::array> inputs,
    const lang::Attributes& attributes) {
  return op::apply(make_call(kernel, body, attributes), std::move(inputs));
}

const Call* call_of(const mx::array& a) {
  const auto* node = node_of(a);
  return node ? node->call().get() : nullptr;
}

std::shared_ptr<const Call> shared_call_of(const mx::array& a) {
  const auto* node = node_of(a);
  return node ? node->call() : nullptr;
}

std::vector<Fallback> fallbacks() {
  std::lock_guard lock(fallback_table().mutex);
  std::vector<Fallback> list;
  for (const auto& [key, count] : fallback_table().counts) {
    list.push_back({key.first, key.second, count});
  }
  return list;
}

} // namespace zmlx::op
