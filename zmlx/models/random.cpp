#include "zmlx/models/random.h"

#include <cmath>

#include <fmt/format.h>

namespace zmlx::models {

namespace {

namespace mx = mlx::core;

class Builder {
 public:
  Builder(const RandomLlama& options, io::ModelFiles& files)
      : options_(options), files_(files) {}

  // Keeps the size of what passes through about what it was.
  void matrix(const std::string& name, int rows, int columns) {
    auto dense = normal({rows, columns}, 1 / std::sqrt(float(columns)));
    if (options_.bits == 0 || columns % options_.group_size != 0) {
      add(name + ".weight", mx::astype(dense, options_.dtype));
      return;
    }
    auto packed = mx::quantize(dense, options_.group_size, options_.bits);
    add(name + ".weight", packed[0]);
    add(name + ".scales", mx::astype(packed[1], options_.dtype));
    add(name + ".biases", mx::astype(packed[2], options_.dtype));
    files_.quantized_layers[name] = {
        options_.group_size, options_.bits, "affine"};
  }

  void linear(const std::string& name, int rows, int columns, bool bias) {
    matrix(name, rows, columns);
    if (bias) {
      add(name + ".bias", mx::astype(normal({rows}, 0.1f), options_.dtype));
    }
  }

  void norm(const std::string& name) {
    auto weight = mx::add(normal({options_.hidden}, 0.1f), mx::array(1.0f));
    add(name + ".weight", mx::astype(weight, options_.dtype));
  }

 private:
  mx::array normal(const mx::Shape& shape, float deviation) {
    const auto key = mx::random::key(options_.seed * 1000003 + drawn_++);
    return mx::random::normal(shape, mx::float32, 0.0f, deviation, key);
  }

  void add(const std::string& name, const mx::array& value) {
    mx::eval(value);
    files_.weights.insert_or_assign(name, value);
  }

  const RandomLlama& options_;
  io::ModelFiles& files_;
  uint64_t drawn_ = 0;
};

nlohmann::json config_of(const RandomLlama& o, int head_dim) {
  nlohmann::json config = {
      {"model_type", "llama"},
      {"hidden_size", o.hidden},
      {"num_hidden_layers", o.layers},
      {"num_attention_heads", o.heads},
      {"num_key_value_heads", o.kv_heads},
      {"head_dim", head_dim},
      {"intermediate_size", o.ffn},
      {"vocab_size", o.vocab},
      {"max_position_embeddings", o.max_positions},
      {"rms_norm_eps", 1e-5},
      {"tie_word_embeddings", o.tied},
      {"attention_bias", o.attention_bias},
      {"mlp_bias", o.mlp_bias},
      {"rope_theta", o.rope_theta},
      {"rope_traditional", o.rope_traditional}};
  if (!o.rope_scaling.is_null()) {
    config["rope_scaling"] = o.rope_scaling;
  }
  return config;
}

void add_layer(
    Builder& build,
    const std::string& name,
    const RandomLlama& o,
    int head_dim) {
  const int q = o.heads * head_dim;
  const int kv = o.kv_heads * head_dim;
  build.norm(name + ".input_layernorm");
  build.linear(name + ".self_attn.q_proj", q, o.hidden, o.attention_bias);
  build.linear(name + ".self_attn.k_proj", kv, o.hidden, o.attention_bias);
  build.linear(name + ".self_attn.v_proj", kv, o.hidden, o.attention_bias);
  build.linear(name + ".self_attn.o_proj", o.hidden, q, o.attention_bias);
  build.norm(name + ".post_attention_layernorm");
  build.linear(name + ".mlp.gate_proj", o.ffn, o.hidden, o.mlp_bias);
  build.linear(name + ".mlp.up_proj", o.ffn, o.hidden, o.mlp_bias);
  build.linear(name + ".mlp.down_proj", o.hidden, o.ffn, o.mlp_bias);
}

} // namespace

io::ModelFiles random_llama(const RandomLlama& options) {
  const int head_dim =
      options.head_dim ? options.head_dim : options.hidden / options.heads;
  io::ModelFiles files{
      .config = io::Config(config_of(options, head_dim), "random llama"),
      .weights = {},
      .root = "random llama",
      .gguf_metadata = {},
      .quantized_layers = {}};
  Builder build(options, files);
  build.matrix("model.embed_tokens", options.vocab, options.hidden);
  for (int i = 0; i < options.layers; ++i) {
    add_layer(build, fmt::format("model.layers.{}", i), options, head_dim);
  }
  build.norm("model.norm");
  if (!options.tied) {
    build.matrix("lm_head", options.vocab, options.hidden);
  }
  return files;
}

} // namespace zmlx::models
