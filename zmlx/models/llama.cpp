// Llama and its kin (SmolLM2, TinyLlama): https://arxiv.org/abs/2302.13971
// with grouped queries of https://arxiv.org/abs/2305.13245.

#include <cmath>

#include "zmlx/base/errors.h"
#include "zmlx/models/layer_reader.h"
#include "zmlx/models/registry.h"
#include "zmlx/models/rope_config.h"

namespace zmlx::models {

namespace {

struct LlamaConfig {
  explicit LlamaConfig(const io::Config& c);

  int hidden;
  int layers;
  int heads;
  int kv_heads;
  int head_dim;
  int ffn;
  int vocab;
  int max_positions;
  float norm_eps;
  bool attention_bias;
  bool mlp_bias;
};

constexpr int max_size = 1 << 30;

LlamaConfig::LlamaConfig(const io::Config& c)
    : hidden(c.require_int("hidden_size", 1, max_size)),
      layers(c.require_int("num_hidden_layers", 1, max_size)),
      heads(c.require_int("num_attention_heads", 1, max_size)),
      kv_heads(c.optional_int("num_key_value_heads", heads, 1, max_size)),
      head_dim(c.optional_int("head_dim", hidden / heads, 1, max_size)),
      ffn(c.require_int("intermediate_size", 1, max_size)),
      vocab(c.require_int("vocab_size", 1, max_size)),
      max_positions(
          c.optional_int("max_position_embeddings", 2048, 1, max_size)),
      norm_eps(static_cast<float>(c.require_float("rms_norm_eps", 0, 1))),
      attention_bias(c.optional_bool("attention_bias", false)),
      mlp_bias(c.optional_bool("mlp_bias", false)) {
  if (heads % kv_heads != 0) {
    throw user_error(
        "{}: num_attention_heads {} must be a multiple of num_key_value_heads "
        "{}",
        c.source(),
        heads,
        kv_heads);
  }
  if (int64_t{heads} * head_dim > max_size) {
    throw user_error(
        "{}: {} heads of {} dimensions are too many",
        c.source(),
        heads,
        head_dim);
  }
}

// What other members of the family have and this file does not compute.
void refuse_other_functions(const io::Config& c) {
  const auto activation = c.optional_string("hidden_act", "silu");
  if (activation != "silu" && activation != "swish") {
    throw user_error(
        "{}: hidden_act \"{}\" is not supported for model_type \"llama\"; "
        "expected \"silu\"",
        c.source(),
        activation);
  }
  auto types = c.json().find("layer_types");
  if (types != c.json().end() && types->is_array()) {
    for (auto& type : *types) {
      if (type != "full_attention") {
        throw user_error(
            "{}: layer_types has {}; only \"full_attention\" is supported for "
            "model_type \"llama\"",
            c.source(),
            type.dump());
      }
    }
  }
}

mx::array silu(const mx::array& x) {
  return mx::multiply(x, mx::sigmoid(x));
}

class Attention {
 public:
  Attention(
      LayerReader& reader,
      const std::string& name,
      const LlamaConfig& c,
      const nn::Rope& rope)
      : heads_(c.heads),
        kv_heads_(c.kv_heads),
        scale_(static_cast<float>(1 / std::sqrt(double(c.head_dim)))),
        q_(reader.linear(
            name + ".q_proj",
            c.heads * c.head_dim,
            c.hidden,
            c.attention_bias)),
        k_(reader.linear(
            name + ".k_proj",
            c.kv_heads * c.head_dim,
            c.hidden,
            c.attention_bias)),
        v_(reader.linear(
            name + ".v_proj",
            c.kv_heads * c.head_dim,
            c.hidden,
            c.attention_bias)),
        o_(reader.linear(
            name + ".o_proj",
            c.hidden,
            c.heads * c.head_dim,
            c.attention_bias)),
        rope_(rope) {}

  mx::array operator()(const mx::array& x, nn::KVCache& cache) const {
    const int batch = x.shape(0);
    const int length = x.shape(1);
    auto q = split(q_(x), heads_);
    auto k = split(k_(x), kv_heads_);
    auto v = split(v_(x), kv_heads_);
    const auto offset = cache.offset();
    q = rope_(q, offset);
    auto [keys, values] = cache.update_and_fetch(rope_(k, offset), v);
    auto y = nn::fast().attention(
        q, keys, values, scale_, length > 1 ? "causal" : "", std::nullopt);
    y = mx::reshape(mx::transpose(y, {0, 2, 1, 3}), {batch, length, -1});
    return o_(y);
  }

  void collect(const std::string& name, nn::NamedArrays& out) const {
    q_.collect(name + ".q_proj", out);
    k_.collect(name + ".k_proj", out);
    v_.collect(name + ".v_proj", out);
    o_.collect(name + ".o_proj", out);
  }

 private:
  // (B, L, H * D) -> (B, H, L, D)
  static mx::array split(const mx::array& x, int heads) {
    auto rows = mx::reshape(x, {x.shape(0), x.shape(1), heads, -1});
    return mx::transpose(rows, {0, 2, 1, 3});
  }

  int heads_;
  int kv_heads_;
  float scale_;
  nn::Linear q_;
  nn::Linear k_;
  nn::Linear v_;
  nn::Linear o_;
  nn::Rope rope_;
};

class Mlp {
 public:
  Mlp(LayerReader& reader, const std::string& name, const LlamaConfig& c)
      : gate_(reader.linear(name + ".gate_proj", c.ffn, c.hidden, c.mlp_bias)),
        up_(reader.linear(name + ".up_proj", c.ffn, c.hidden, c.mlp_bias)),
        down_(reader.linear(name + ".down_proj", c.hidden, c.ffn, c.mlp_bias)) {
  }

  mx::array operator()(const mx::array& x) const {
    return down_(mx::multiply(silu(gate_(x)), up_(x)));
  }

  void collect(const std::string& name, nn::NamedArrays& out) const {
    gate_.collect(name + ".gate_proj", out);
    up_.collect(name + ".up_proj", out);
    down_.collect(name + ".down_proj", out);
  }

 private:
  nn::Linear gate_;
  nn::Linear up_;
  nn::Linear down_;
};

class Block {
 public:
  Block(
      LayerReader& reader,
      const std::string& name,
      const LlamaConfig& c,
      const nn::Rope& rope)
      : attention_norm_(
            reader.rms_norm(name + ".input_layernorm", c.hidden, c.norm_eps)),
        attention_(reader, name + ".self_attn", c, rope),
        mlp_norm_(reader.rms_norm(
            name + ".post_attention_layernorm",
            c.hidden,
            c.norm_eps)),
        mlp_(reader, name + ".mlp", c) {}

  mx::array operator()(const mx::array& x, nn::KVCache& cache) const {
    auto h = mx::add(x, attention_(attention_norm_(x), cache));
    return mx::add(h, mlp_(mlp_norm_(h)));
  }

  void collect(const std::string& name, nn::NamedArrays& out) const {
    attention_norm_.collect(name + ".input_layernorm", out);
    attention_.collect(name + ".self_attn", out);
    mlp_norm_.collect(name + ".post_attention_layernorm", out);
    mlp_.collect(name + ".mlp", out);
  }

 private:
  nn::RMSNorm attention_norm_;
  Attention attention_;
  nn::RMSNorm mlp_norm_;
  Mlp mlp_;
};

std::string layer_name(size_t i) {
  return fmt::format("model.layers.{}", i);
}

// Files of Llama 3.1 and later in GGUF carry the stretch of each pair.
nn::Rope make_rope(LayerReader& reader, int head_dim) {
  const std::string name = "rope_freqs.weight";
  if (!reader.has(name)) {
    return rope_from_config(reader.config(), head_dim);
  }
  auto given = mx::contiguous(
      mx::astype(reader.array(name, {head_dim / 2}), mx::float32));
  mx::eval(given);
  const float* first = given.data<float>();
  return rope_from_config(
      reader.config(),
      head_dim,
      std::vector<float>(first, first + given.size()));
}

// An explicit key decides; without it, a head of its own does.
bool is_tied(const LayerReader& reader) {
  return reader.config().optional_bool(
      "tie_word_embeddings", !reader.has("lm_head.weight"));
}

class Llama : public nn::Model {
 public:
  explicit Llama(LayerReader& reader)
      : Llama(reader, LlamaConfig(reader.config())) {}

  const nn::DecoderShape& shape() const override {
    return shape_;
  }

  mx::array forward(const mx::array& tokens, nn::Caches& caches)
      const override {
    if (caches.size() != blocks_.size()) {
      throw internal_error(
          "a model of {} layers was given {} caches",
          blocks_.size(),
          caches.size());
    }
    auto h = embedding_(tokens);
    for (size_t i = 0; i < blocks_.size(); ++i) {
      h = blocks_[i](h, *caches[i]);
    }
    h = norm_(h);
    return head_ ? (*head_)(h) : embedding_.as_linear(h);
  }

  nn::NamedArrays parameters() const override {
    nn::NamedArrays all;
    embedding_.collect("model.embed_tokens", all);
    for (size_t i = 0; i < blocks_.size(); ++i) {
      blocks_[i].collect(layer_name(i), all);
    }
    norm_.collect("model.norm", all);
    if (head_) {
      head_->collect("lm_head", all);
    }
    return all;
  }

 private:
  Llama(LayerReader& reader, const LlamaConfig& c)
      : embedding_(reader.embedding("model.embed_tokens", c.vocab, c.hidden)),
        norm_(reader.rms_norm("model.norm", c.hidden, c.norm_eps)) {
    shape_.model_type = "llama";
    shape_.vocab_size = c.vocab;
    shape_.max_positions = c.max_positions;
    const auto rope = make_rope(reader, c.head_dim);
    for (int i = 0; i < c.layers; ++i) {
      blocks_.emplace_back(reader, layer_name(i), c, rope);
      shape_.caches.push_back({c.kv_heads, c.head_dim, embedding_.dtype()});
    }
    if (is_tied(reader)) {
      reader.ignore("lm_head");
    } else {
      head_ = reader.linear("lm_head", c.vocab, c.hidden, false);
    }
  }

  nn::DecoderShape shape_;
  nn::Embedding embedding_;
  std::vector<Block> blocks_;
  nn::RMSNorm norm_;
  std::optional<nn::Linear> head_;
};

std::shared_ptr<nn::Model> make_llama(io::ModelFiles files) {
  LayerReader reader(std::move(files));
  refuse_other_functions(reader.config());
  auto model = std::make_shared<Llama>(reader);
  reader.ignore_suffix(".rotary_emb.inv_freq");
  reader.finish();
  return model;
}

const Registration llama("llama", make_llama);

} // namespace

} // namespace zmlx::models
