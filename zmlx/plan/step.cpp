#include "zmlx/plan/step.h"

#include <cmath>
#include <unordered_map>

#include "zmlx/base/errors.h"
#include "zmlx/graph/fuse.h"
#include "zmlx/graph/lift.h"
#include "zmlx/graph/view.h"
#include "zmlx/kernels/attention.h"
#include "zmlx/kernels/norms.h"
#include "zmlx/kernels/quant.h"
#include "zmlx/kernels/rope.h"
#include "zmlx/op/convert.h"
#include "zmlx/plan/cells.h"

namespace zmlx::plan {

namespace {

/// An array (capacity, heads, dim) of the state as a model sees a cache:
/// (1, heads, capacity, dim).
mx::array as_cache(const mx::array& storage) {
  return mx::expand_dims(mx::transpose(storage, {1, 0, 2}), 0);
}

mx::array as_storage(const mx::array& cache) {
  return mx::transpose(mx::squeeze(cache, 0), {1, 0, 2});
}

/// A cache whose arrays are placeholders of full capacity.
class CapturedCache : public nn::KVCache {
 public:
  CapturedCache(
      const mx::array& keys,
      const mx::array& values,
      mx::array position)
      : keys_(as_cache(keys)),
        values_(as_cache(values)),
        position_(std::move(position)) {}

  nn::Position offset() const override {
    return updated_ ? position_ + 1 : position_;
  }

  std::pair<mx::array, mx::array> update_and_fetch(
      const mx::array& keys,
      const mx::array& values) override {
    if (updated_) {
      throw user_error("a step updates one cache twice");
    }
    updated_ = true;
    auto start = mx::reshape(position_, {1});
    keys_ = mx::slice_update(keys_, keys, start, {2});
    values_ = mx::slice_update(values_, values, start, {2});
    return {keys_, values_};
  }

  /// Keys and values after the step, as the state stores them.
  mx::array keys() const {
    return as_storage(keys_);
  }
  mx::array values() const {
    return as_storage(values_);
  }

 private:
  mx::array keys_;
  mx::array values_;
  mx::array position_;
  bool updated_ = false;
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

/// MLX's norms and attention give the common type of their operands.
mx::array in_common_type(
    const mx::array& x,
    const std::vector<std::optional<mx::array>>& others) {
  auto type = x.dtype();
  for (const auto& other : others) {
    type = other ? mx::promote_types(type, other->dtype()) : type;
  }
  return mx::astype(x, type);
}

mx::array captured_rms_norm(
    const mx::array& x,
    const std::optional<mx::array>& weight,
    float eps) {
  auto in = in_common_type(x, {weight});
  return weight ? kernels::rmsnorm(in, *weight, eps)
                : kernels::rms_norm_no_weight(in, eps);
}

mx::array captured_layer_norm(
    const mx::array& x,
    const std::optional<mx::array>& weight,
    const std::optional<mx::array>& bias,
    float eps) {
  auto in = in_common_type(x, {weight, bias});
  if (!weight && !bias) {
    return kernels::layer_norm_no_weight(in, eps);
  }
  return kernels::layernorm(
      in,
      weight.value_or(mx::array(1.0f, in.dtype())),
      bias.value_or(mx::array(0.0f, in.dtype())),
      eps);
}

nn::FastOps captured_ops(const mx::array& length) {
  nn::FastOps ops = nn::fast();
  ops.rms_norm = captured_rms_norm;
  ops.layer_norm = captured_layer_norm;
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
    return kernels::decode_attention.with({{"scale", scale}})(
        in_common_type(q, {k, v}), k, v, length);
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
  } catch (const InternalError&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) { // MLX, of what has no data
    throw user_error(
        "the step of a {} model cannot be captured: {}",
        model.shape().model_type,
        e.what());
  }
}

mx::array call_chooser(
    const Choose& choose,
    const mx::array& logits,
    const mx::array& position) {
  const auto given =
      mx::reshape(logits, {1, 1, static_cast<int>(logits.size())});
  const auto chosen = [&] {
    try {
      return choose(given, position);
    } catch (const std::exception& error) {
      throw user_error("choose: {}", error.what());
    }
  }();
  if (chosen.size() != 1 || !mx::issubdtype(chosen.dtype(), mx::integer)) {
    throw user_error(
        "choose: expected one integer, got {} of type {}",
        chosen.size(),
        lang::name_of(op::type_of(chosen)));
  }
  return mx::reshape(mx::astype(chosen, mx::uint32), {1, 1});
}

/// What an operand shows where that is an array of the state.
const graph::Slot* state_slot_of(
    const graph::Graph& graph,
    const graph::Operand& operand) {
  const auto storage = graph::storage_of(graph, operand.value);
  const auto& slot = graph.nodes[storage.node].slot;
  return slot && slot->kind == graph::Slot::Kind::State ? &*slot : nullptr;
}

bool shows_whole_cache(const graph::View& view, const lang::Shape& storage) {
  const auto cache = graph::transpose(graph::whole(storage), {1, 0, 2});
  return graph::element_count(view.shape) == graph::element_count(storage) &&
      graph::reshape(view, cache.shape) == graph::reshape(cache, cache.shape);
}

/// Captured caches are longer than what they hold, so only what knows how many
/// keys there are may read them, whole. Models that attend in operations of
/// their own would see the rest as keys of zeros.
void check_cache_readers(const graph::Graph& graph) {
  for (const auto& node : graph.nodes) {
    const bool attends = node.kind == graph::Kind::Kernel &&
        graph::form_of(node.body) == graph::Form::Attention;
    for (size_t i = 0; i < node.operands.size(); i++) {
      const auto& operand = node.operands[i];
      const auto& storage = graph::storage_shape(graph, operand.value);
      const bool is_cache = state_slot_of(graph, operand) != nullptr;
      const bool is_key_or_value = attends && (i == 1 || i == 2);
      if (is_cache && !is_key_or_value) {
        throw user_error(
            "{} reads {}, which only attention may: the model attends in "
            "operations of its own",
            node.name,
            graph.nodes[graph::storage_of(graph, operand.value).node].name);
      }
      if (is_key_or_value &&
          (!is_cache || !shows_whole_cache(operand.view, storage))) {
        throw user_error(
            "attention reads other keys than those of its cache, or a part");
      }
    }
  }
}

/// The placeholders of a step by what they stand for.
class Placeholders {
 public:
  mx::array cell(std::string name, int number, mx::Shape shape = {}) {
    return add(
        std::move(name),
        graph::placeholder(std::move(shape), mx::int32),
        {graph::Slot::Kind::Cell, number});
  }

  mx::array slot(const nn::StateSlot& slot, int number, int capacity) {
    mx::Shape shape = slot.entry;
    const bool grows = slot.keeps == nn::Keeps::All;
    shape.insert(
        shape.begin(),
        grows                                 ? capacity
            : slot.keeps == nn::Keeps::Window ? slot.window
                                              : 2);
    return add(
        slot.name,
        graph::placeholder(std::move(shape), slot.dtype),
        {graph::Slot::Kind::State, number, grows});
  }

  const std::vector<graph::Named>& all() const {
    return all_;
  }

 private:
  mx::array add(std::string name, mx::array array, graph::Slot slot) {
    all_.push_back({std::move(name), array, slot});
    return array;
  }

  std::vector<graph::Named> all_;
};

} // namespace

graph::Graph capture_step(
    const nn::Model& model,
    int capacity,
    mx::Device device,
    const Choose& choose) {
  Placeholders given;
  auto token = given.cell("token", Cells::Token, {1, 1});
  auto position = given.cell("position", Cells::Position);
  auto length = given.cell("length", Cells::Length);
  nn::Caches caches;
  std::vector<CapturedCache*> captured;
  const auto slots = nn::state_slots(model.shape().caches);
  for (size_t i = 0; i < slots.size(); i += 2) {
    const auto number = static_cast<int>(i);
    auto keys = given.slot(slots[i], number, capacity);
    auto values = given.slot(slots[i + 1], number + 1, capacity);
    auto cache = std::make_unique<CapturedCache>(keys, values, position);
    captured.push_back(cache.get());
    caches.push_back(std::move(cache));
  }
  auto logits =
      mx::astype(call_captured(model, token, caches, length), mx::float32);
  if (logits.size() != static_cast<size_t>(model.shape().vocab_size)) {
    throw user_error(
        "the step gives {} logits for a vocabulary of {}",
        logits.size(),
        model.shape().vocab_size);
  }
  const auto chosen =
      choose ? call_chooser(choose, logits, position) : mx::argmax(logits, -1);
  std::vector<graph::Named> outputs{
      {"logits", logits}, {"chosen", chosen}, {"largest", mx::max(logits, -1)}};
  for (size_t i = 0; i < captured.size(); i++) {
    outputs.push_back({slots[2 * i].name, captured[i]->keys()});
    outputs.push_back({slots[2 * i + 1].name, captured[i]->values()});
  }
  auto graph = graph::lift(given.all(), outputs, weight_names(model), device);
  check_cache_readers(graph);
  return graph;
}

namespace {

/// Makes the axis of a view that runs along the tokens `capacity` long. It is
/// the axis that steps from entry to entry, and as long as the storage was.
void resize_axis(
    graph::View& view,
    const lang::Shape& storage,
    int64_t capacity) {
  const int64_t entry = graph::contiguous_strides(storage)[0];
  for (size_t i = 0; i < view.shape.size(); i++) {
    if (view.strides[i] == entry && view.shape[i] == storage[0]) {
      view.shape[i] = capacity;
      return;
    }
  }
}

} // namespace

graph::Graph with_capacity(const graph::Graph& step, int capacity) {
  graph::Graph result = step;
  auto resize = [&](graph::Operand& operand) {
    const auto* slot = state_slot_of(step, operand);
    if (slot && slot->grows && operand.view.at.node < 0) {
      resize_axis(
          operand.view, graph::storage_shape(step, operand.value), capacity);
    }
  };
  for (auto& node : result.nodes) {
    if (node.slot && node.slot->grows) {
      node.results[0].shape[0] = capacity;
      node.array.reset(); // its shape was the old one
    }
    for (auto& operand : node.operands) {
      resize(operand);
    }
  }
  for (auto& output : result.outputs) {
    resize(output.value);
  }
  graph::check(result);
  return result;
}

} // namespace zmlx::plan
