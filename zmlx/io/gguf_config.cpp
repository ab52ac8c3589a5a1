#include "zmlx/io/gguf_config.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "zmlx/io/quote.h"

namespace zmlx::io {

namespace {

using nlohmann::json;
using Names = std::pair<std::string_view, std::string_view>;

constexpr std::array<Names, 3> top_names{{
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
}};

constexpr std::array<Names, 11> layer_names{{
    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"},
    {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
}};

template <size_t N>
std::string_view lookup(
    const std::array<Names, N>& names,
    std::string_view name) {
  auto it = std::find_if(
      names.begin(), names.end(), [&](auto& n) { return n.first == name; });
  return it == names.end() ? std::string_view() : it->second;
}

/// Reads the metadata of one architecture into the keys of a config.
class Translation {
 public:
  Translation(const GgufHeader& header, const std::string& source)
      : header_(header), source_(source) {
    auto* name = find<std::string>("general.architecture");
    if (!name) {
      throw user_error(
          "{}: key 'general.architecture' is missing (not a model?)", source_);
    }
    architecture_ = *name;
  }

  json config() {
    model_type();
    number("embedding_length", "hidden_size", true);
    number("block_count", "num_hidden_layers", true);
    number("attention.head_count", "num_attention_heads", true);
    number("attention.head_count_kv", "num_key_value_heads");
    number("attention.key_length", "head_dim");
    number("feed_forward_length", "intermediate_size");
    number("attention.layer_norm_rms_epsilon", "rms_norm_eps");
    number("context_length", "max_position_embeddings");
    number("rope.freq_base", "rope_theta");
    rope_dimensions();
    rope_scaling();
    vocabulary();
    return std::move(out_);
  }

 private:
  template <typename T>
  const T* find(const std::string& key) const {
    try {
      return find_gguf<T>(header_.metadata, key);
    } catch (const UserError& error) {
      throw UserError(source_ + ": " + error.what());
    }
  }

  const GgufValue* value_of(const std::string& key) const {
    auto it = header_.metadata.find(key);
    return it == header_.metadata.end() ? nullptr : &it->second;
  }

  /// A number stays the integer or float that it is in the file; the checks of
  /// every config judge its range.
  void
  number(const std::string& suffix, const char* key, bool required = false) {
    auto name = architecture_ + "." + suffix;
    auto* value = value_of(name);
    if (!value) {
      if (required) {
        throw user_error("{}: key {} is missing", source_, quote(name));
      }
      return;
    }
    if (auto* integer = std::get_if<int64_t>(value)) {
      out_[key] = *integer;
    } else if (auto* real = std::get_if<double>(value)) {
      out_[key] = *real;
    } else {
      throw user_error(
          "{}: key {} is {}, expected a number",
          source_,
          quote(name),
          gguf_kind(*value));
    }
  }

  void model_type() {
    auto* experts = find<int64_t>(architecture_ + ".expert_count");
    if (experts && *experts > 0) {
      throw user_error(
          "{}: mixture-of-experts models ({} with {} experts) are not "
          "supported as GGUF; expected a folder with safetensors",
          source_,
          quote(architecture_),
          *experts);
    }
    out_["model_type"] = architecture_;
    out_["rope_traditional"] = architecture_ == "llama";
  }

  void rope_dimensions() {
    auto* dims = find<int64_t>(architecture_ + ".rope.dimension_count");
    if (!dims) {
      return;
    }
    int64_t heads = out_["num_attention_heads"].get<double>();
    int64_t hidden = out_["hidden_size"].get<double>();
    int64_t head_dim = out_.contains("head_dim")
        ? static_cast<int64_t>(out_["head_dim"].get<double>())
        : (heads > 0 ? hidden / heads : 0);
    if (*dims != head_dim) {
      throw user_error(
          "{}: key {} is {}, expected the head dimension {}",
          source_,
          quote(architecture_ + ".rope.dimension_count"),
          *dims,
          head_dim);
    }
  }

  void rope_scaling() {
    auto prefix = architecture_ + ".rope.scaling.";
    auto* type = find<std::string>(prefix + "type");
    auto* factor = find<double>(prefix + "factor");
    if (!factor) { // its older name
      factor = find<double>(architecture_ + ".rope.scale_linear");
    }
    // As llama.cpp reads it: a factor without a type is linear, 0 is none.
    const bool by_factor = !type && factor && *factor != 0;
    if ((!type && !by_factor) || (type && *type == "none")) {
      return;
    }
    json scaling{{"rope_type", type ? *type : "linear"}};
    if (factor) {
      scaling["factor"] = *factor;
    }
    if (auto* length = find<int64_t>(prefix + "original_context_length")) {
      scaling["original_max_position_embeddings"] = *length;
    }
    out_["rope_scaling"] = scaling;
  }

  const GgufTensor* tensor(std::string_view name) const {
    auto it = std::find_if(
        header_.tensors.begin(), header_.tensors.end(), [&](auto& t) {
          return t.name == name;
        });
    return it == header_.tensors.end() ? nullptr : &*it;
  }

  void vocabulary() {
    auto* embedding = tensor("token_embd.weight");
    if (!embedding || embedding->shape.size() != 2) {
      throw user_error(
          "{}: expected a tensor 'token_embd.weight' with 2 dimensions, {}",
          source_,
          embedding ? "it has " + std::to_string(embedding->shape.size())
                    : "there is none");
    }
    out_["vocab_size"] = embedding->shape[0];
    out_["tie_word_embeddings"] = tensor("output.weight") == nullptr;
    for (const char* id : {"bos_token_id", "eos_token_id"}) {
      auto* value = find<int64_t>(std::string("tokenizer.ggml.") + id);
      if (value) {
        out_[id] = *value;
      }
    }
    // End of turn, of files whose chats end otherwise than their texts.
    auto* eot = find<int64_t>("tokenizer.ggml.eot_token_id");
    if (eot && out_.contains("eos_token_id") && out_["eos_token_id"] != *eot) {
      out_["eos_token_id"] = json::array({out_["eos_token_id"], *eot});
    }
  }

  const GgufHeader& header_;
  const std::string& source_;
  std::string architecture_;
  json out_ = json::object();
};

} // namespace

Config gguf_config(const GgufHeader& header, const std::string& source) {
  return Config(Translation(header, source).config(), source);
}

std::string hf_weight_name(const std::string& gguf_name) {
  std::string_view rest = gguf_name;
  auto dot = rest.rfind('.');
  if (dot == rest.npos) {
    return gguf_name;
  }
  auto part = rest.substr(dot); // ".weight"
  rest = rest.substr(0, dot);
  if (auto name = lookup(top_names, rest); !name.empty()) {
    return std::string(name).append(part);
  }
  if (!rest.starts_with("blk.")) {
    return gguf_name;
  }
  rest.remove_prefix(4);
  auto end = rest.find('.');
  auto index = rest.substr(0, end);
  bool digits = !index.empty() &&
      std::all_of(index.begin(), index.end(), [](unsigned char c) {
        return std::isdigit(c);
      });
  auto name = end == rest.npos || !digits
      ? std::string_view()
      : lookup(layer_names, rest.substr(end + 1));
  if (name.empty()) {
    return gguf_name;
  }
  return fmt::format("model.layers.{}.{}{}", index, name, part);
}

} // namespace zmlx::io
