#include "zmlx/io/model_config.h"

#include "zmlx/base/errors.h"
#include "zmlx/io/quote.h"

namespace zmlx::io {

namespace {

using nlohmann::json;

// Ten times and more what any published model has; products stay in 64 bits.
constexpr int max_size = 1 << 20;
constexpr int max_layers = 10'000;
constexpr int max_heads = 1 << 14;
constexpr int max_vocabulary = 1 << 24;
constexpr int max_positions = 1 << 30;

/// `rope_parameters` to rope_theta and rope_scaling; `type`, the oldest
/// spelling, to rope_type; no rope_scaling where it says "default". Configs
/// with parameters for each type of layer keep them.
void rewrite_rope(const Config& config, json& out) {
  if (auto rope = config.object("rope_parameters")) {
    if (rope->has("rope_theta")) {
      out["rope_theta"] = rope->json()["rope_theta"];
    }
    if (rope->has("rope_type") || rope->has("type")) {
      out["rope_scaling"] = rope->json();
      out["rope_scaling"].erase("rope_theta");
    }
  }
  auto it = out.find("rope_scaling");
  if (it == out.end() || !it->is_object()) {
    return;
  }
  auto& scaling = *it;
  if (!scaling.contains("rope_type") && scaling.contains("type")) {
    scaling["rope_type"] = scaling["type"];
  }
  if (scaling.contains("rope_type") && scaling["rope_type"] == "default") {
    out.erase("rope_scaling");
  }
}

void check_divides(
    const Config& config,
    const char* key,
    int value,
    const char* by_key,
    int by) {
  if (value % by != 0) {
    throw user_error(
        "{}: '{}' is {}, expected a multiple of '{}', which is {}",
        config.source(),
        key,
        value,
        by_key,
        by);
  }
}

void check_heads(const Config& config, json& out) {
  int hidden = config.require_int("hidden_size", 1, max_size);
  int heads = config.require_int("num_attention_heads", 1, max_heads);
  int kv_heads =
      config.optional_int("num_key_value_heads", heads, 1, max_heads);
  check_divides(
      config, "num_attention_heads", heads, "num_key_value_heads", kv_heads);
  if (!config.has("head_dim")) {
    check_divides(config, "hidden_size", hidden, "num_attention_heads", heads);
  }
  out["num_key_value_heads"] = kv_heads;
  out["head_dim"] =
      config.optional_int("head_dim", hidden / heads, 1, max_size);
}

void check_ranges(const Config& config) {
  if (config.require_string("model_type").empty()) {
    throw user_error("{}: 'model_type' is empty", config.source());
  }
  config.require_int("num_hidden_layers", 1, max_layers);
  int vocabulary = config.require_int("vocab_size", 1, max_vocabulary);
  config.optional_int("intermediate_size", 1, 1, max_size * 16);
  config.optional_int("max_position_embeddings", 1, 1, max_positions);
  config.optional_float("rms_norm_eps", 0, 0, 1);
  config.optional_float("rope_theta", 1, 1e-3, 1e30);
  config.optional_bool("tie_word_embeddings", false);
  config.object("rope_scaling");
  config.int_or_ints("bos_token_id", 0, vocabulary - 1);
  config.int_or_ints("eos_token_id", 0, vocabulary - 1);
}

} // namespace

Config checked_model_config(const Config& config) {
  auto out = config.json();
  rewrite_rope(config, out);
  if (!config.has("num_experts") && config.has("num_local_experts")) {
    out["num_experts"] = out["num_local_experts"];
  }
  check_heads(config, out);
  Config checked(std::move(out), config.source());
  check_ranges(checked);
  return checked;
}

} // namespace zmlx::io
