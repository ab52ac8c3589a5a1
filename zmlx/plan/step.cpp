#include "zmlx/plan/step.h"

#include <cmath>
#include <unordered_map>

#include "zmlx/base/errors.h"
#include "zmlx/graph/fuse.h"
#include "zmlx/graph/lift.h"
#include "zmlx/kernels/attention.h"
#include "zmlx/kernels/norms.h"
#include "zmlx/kernels/quant.h"
#include "zmlx/kernels/rope.h"

namespace zmlx::plan {

namespace mx = mlx::core;

namespace step_names {

std::string keys(int layer) {
  return fmt::format("keys.{}", layer);
}

std::string values(int layer) {
  return fmt::format("values.{}", layer);
}

std::optional<Cache> parse_cache(const std::string& name) {
  auto dot = name.find('.');
  if (dot == std::string::npos) {
    return std::nullopt;
  }
  Cache cache{
      .layer = std::atoi(name.c_str() + dot + 1),
      .is_keys = name.starts_with("keys.")};
  if (name != (cache.is_keys ? keys(cache.layer) : values(cache.layer))) {
    return std::nullopt;
  }
  return cache;
}

} // namespace step_names

namespace {

/// A cache whose arrays are placeholders of full capacity.
class CapturedCache : public nn::KVCache {
 public:
  CapturedCache(mx::array keys, mx::array values, mx::array position)
      : keys_(std::move(keys)),
        values_(std::move(values)),
        position_(std::move(position)) {}

  nn::Position offset() const override {
    return position_;
  }

  std::pair<mx::array, mx::array> update_and_fetch(
      const mx::array& keys,
      const mx::array& values) override {
    auto start = mx::reshape(position_, {1});
    keys_ = mx::slice_update(keys_, keys, start, {2});
    values_ = mx::slice_update(values_, values, start, {2});
    return {keys_, values_};
  }

  const mx::array& keys() const {
    return keys_;
  }
  const mx::array& values() const {
    return values_;
  }

 private:
  mx::array keys_;
  mx::array values_;
  mx::array position_;
};

mx::array inverse_frequencies(int dims, float base) {
  int half = dims / 2;
  return mx::exp(
      mx::arange(0.0, -half, -1.0, mx::float32) *
      mx::array(std::log(base) / static_cast<float>(half)));
}

mx::array captured_rope(
    const mx::array& x,
    int dims,
    bool traditional,
    std::optional<float> base,
    float scale,
    const nn::Position& offset,
    const std::optional<mx::array>& freqs) {
  const auto* position = std::get_if<mx::array>(&offset);
  if (!position) {
    throw user_error("rope: a step's position must be the cache's offset");
  }
  auto inverse = freqs ? mx::reciprocal(*freqs)
                       : inverse_frequencies(dims, base.value_or(10000.0f));
  auto rope = kernels::rope.with(
      {{"dims", dims}, {"traditional", traditional ? 1 : 0}});
  return rope(x, *position, inverse, scale);
}

mx::array captured_dequantize(
    const mx::array& w,
    const mx::array& scales,
    const std::optional<mx::array>& biases,
    int group_size,
    int bits,
    const std::string& mode) {
  if (mode != "affine" || !biases) {
    throw user_error("no kernel dequantizes mode '{}' yet", mode);
  }
  auto dequantize = kernels::dequantize_affine_packed.with(
      {{"bits", bits}, {"group_size", group_size}});
  return dequantize(w, scales, *biases);
}

nn::FastOps captured_ops(const mx::array& length) {
  nn::FastOps ops = nn::fast();
  ops.rms_norm = [](const mx::array& x,
                    const std::optional<mx::array>& weight,
                    float eps) {
    return weight ? kernels::rmsnorm(x, *weight, eps)
                  : kernels::rms_norm_no_weight(x, eps);
  };
  ops.rope = captured_rope;
  ops.attention = [length](
                      const mx::array& q,
                      const mx::array& k,
                      const mx::array& v,
                      float scale,
                      const std::string&,
                      const std::optional<mx::array>& mask) {
    if (mask) {
      throw user_error("a step's attention has a mask of its own");
    }
    return kernels::decode_attention.with({{"scale", scale}})(q, k, v, length);
  };
  ops.dequantize = captured_dequantize;
  return ops;
}

graph::NameOf weight_names(const nn::Model& model) {
  auto names =
      std::make_shared<std::unordered_map<std::uintptr_t, std::string>>();
  for (const auto& [name, array] : model.parameters()) {
    names->emplace(array.id(), name);
  }
  return [names](const mx::array& a) {
    // The transposed view of a weight bears the weight's name.
    auto found = names->find(a.id());
    if (found == names->end() && a.has_primitive() && a.inputs().size() == 1) {
      found = names->find(a.inputs()[0].id());
    }
    return found == names->end() ? std::string() : found->second;
  };
}

/// The model's step on placeholders. What it asks of their data MLX refuses.
mx::array call_captured(
    const nn::Model& model,
    const mx::array& token,
    nn::Caches& caches,
    const mx::array& length) {
  nn::ScopedFastOps scoped(captured_ops(length));
  try {
    return model.forward(token, caches);
  } catch (const UserError&) {
    throw;
  } catch (const std::exception& e) {
    throw user_error(
        "the step of a {} model cannot be captured: {}",
        model.shape().model_type,
        e.what());
  }
}

/// Captured caches are longer than what they hold, so only what knows how many
/// keys there are may read them. Models that attend in operations of their own
/// would see the rest as keys of zeros.
void check_cache_readers(const graph::Graph& graph) {
  for (const auto& node : graph.nodes) {
    for (const auto& operand : node.operands) {
      const auto& storage =
          graph.nodes[graph::storage_of(graph, operand.value).node];
      bool attends = node.kind == graph::Kind::Kernel &&
          graph::form_of(node.body) == graph::Form::Attention;
      if (step_names::parse_cache(storage.name) && !attends) {
        throw user_error(
            "{} reads {}, which only attention may: the model attends in "
            "operations of its own",
            node.name,
            storage.name);
      }
    }
  }
}

} // namespace

graph::Graph capture_step(const nn::Model& model, int capacity) {
  auto token = graph::placeholder({1, 1}, mx::int32);
  auto position = graph::placeholder({}, mx::int32);
  auto length = graph::placeholder({}, mx::int32);
  std::vector<graph::Named> inputs{
      {std::string(step_names::token), token},
      {std::string(step_names::position), position},
      {std::string(step_names::length), length}};
  nn::Caches caches;
  std::vector<CapturedCache*> captured;
  const auto& shapes = model.shape().caches;
  for (size_t i = 0; i < shapes.size(); i++) {
    auto make = [&](std::string name) {
      auto array = graph::placeholder(
          {1, shapes[i].kv_heads, capacity, shapes[i].head_dim},
          shapes[i].dtype);
      inputs.push_back({std::move(name), array});
      return array;
    };
    auto keys = make(step_names::keys(static_cast<int>(i)));
    auto values = make(step_names::values(static_cast<int>(i)));
    auto cache = std::make_unique<CapturedCache>(keys, values, position);
    captured.push_back(cache.get());
    caches.push_back(std::move(cache));
  }
  auto logits = call_captured(model, token, caches, length);
  std::vector<graph::Named> outputs{
      {"logits", logits}, {"likeliest", mx::argmax(logits, -1)}};
  for (size_t i = 0; i < captured.size(); i++) {
    auto layer = static_cast<int>(i);
    outputs.push_back({step_names::keys(layer), captured[i]->keys()});
    outputs.push_back({step_names::values(layer), captured[i]->values()});
  }
  auto graph = graph::lift(inputs, outputs, weight_names(model));
  check_cache_readers(graph);
  return graph;
}

} // namespace zmlx::plan
