#include <map>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"
#include "zmlx/models/random.h"
#include "zmlx/models/registry.h"

namespace zmlx::models {
namespace {

namespace mx = mlx::core;

nn::Caches growing_caches(const nn::Model& model) {
  nn::Caches caches;
  for (size_t i = 0; i < model.shape().caches.size(); ++i) {
    caches.push_back(std::make_unique<nn::GrowingKVCache>());
  }
  return caches;
}

mx::array logits(const nn::Model& model, const std::vector<int>& tokens) {
  auto caches = growing_caches(model);
  return model.forward(
      mx::array(tokens.data(), {1, static_cast<int>(tokens.size())}), caches);
}

double distance(const mx::array& a, const mx::array& b) {
  auto gap = mx::max(mx::abs(mx::subtract(a, b)));
  return mx::divide(gap, mx::max(mx::abs(b))).item<float>();
}

// The message of the UserError that building raises.
std::string refusal(io::ModelFiles files) {
  try {
    make_model(std::move(files));
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

// The same function with its packed layers written out in float32.
io::ModelFiles unpacked(io::ModelFiles files) {
  for (auto& [name, q] : files.quantized_layers) {
    auto part = [&](const char* which) {
      auto node = files.weights.extract(name + which);
      return node.mapped();
    };
    auto weight = part(".weight");
    auto scales = mx::astype(part(".scales"), mx::float32);
    auto biases = mx::astype(part(".biases"), mx::float32);
    files.weights.insert_or_assign(
        name + ".weight",
        mx::dequantize(weight, scales, biases, q.group_size, q.bits));
  }
  files.quantized_layers.clear();
  return files;
}

const std::vector<int> some_tokens = {1, 1000, 17, 17, 500, 3, 999};

TEST(RandomLlama, IsTheSameForTheSameSeed) {
  auto a = random_llama({.seed = 5});
  auto b = random_llama({.seed = 5});
  auto c = random_llama({.seed = 6});
  ASSERT_EQ(a.weights.size(), b.weights.size());
  for (auto& [name, array] : a.weights) {
    EXPECT_TRUE(mx::array_equal(array, b.weights.at(name)).item<bool>())
        << name;
    EXPECT_FALSE(mx::array_equal(array, c.weights.at(name)).item<bool>())
        << name;
  }
}

TEST(RandomLlama, LeavesDenseWhatGroupsDoNotDivide) {
  auto files = random_llama({.group_size = 64}); // 544 = 8.5 groups
  EXPECT_TRUE(files.quantization("model.layers.0.mlp.up_proj"));
  EXPECT_FALSE(files.quantization("model.layers.0.mlp.down_proj"));
}

TEST(Llama, PackedIsItsUnpackedSelf) {
  for (int group_size : {32, 64, 128}) {
    for (int bits : {4, 8}) {
      RandomLlama options{.bits = bits, .group_size = group_size};
      auto packed = make_model(random_llama(options));
      auto dense = make_model(unpacked(random_llama(options)));
      EXPECT_LT(
          distance(logits(*packed, some_tokens), logits(*dense, some_tokens)),
          1e-4)
          << bits << " bits, groups of " << group_size;
    }
  }
}

TEST(Llama, OneByOneIsAllAtOnce) {
  for (int kv_heads : {1, 3}) {
    auto model = make_model(random_llama(
        {.kv_heads = kv_heads,
         .tied = false,
         .attention_bias = true,
         .mlp_bias = true,
         .rope_scaling = {
             {"rope_type", "llama3"},
             {"factor", 8.0},
             {"original_max_position_embeddings", 64}}}));
    auto all = logits(*model, some_tokens);
    auto caches = growing_caches(*model);
    for (size_t i = 0; i < some_tokens.size(); ++i) {
      auto one = model->forward(mx::array({some_tokens[i]}, {1, 1}), caches);
      auto expected = mx::slice(
          all,
          {0, static_cast<int>(i), 0},
          {1, static_cast<int>(i) + 1, all.shape(2)});
      EXPECT_LT(distance(one, expected), 1e-4);
    }
  }
}

TEST(Llama, ShapeTellsWhatCachesHold) {
  auto model = make_model(
      random_llama({.layers = 3, .heads = 4, .kv_heads = 2, .head_dim = 32}));
  auto& shape = model->shape();
  EXPECT_EQ(shape.model_type, "llama");
  EXPECT_EQ(shape.vocab_size, 1001);
  EXPECT_EQ(shape.max_positions, 2048);
  ASSERT_EQ(shape.caches.size(), 3u);
  EXPECT_EQ(shape.caches[2].kv_heads, 2);
  EXPECT_EQ(shape.caches[2].head_dim, 32);
  EXPECT_EQ(shape.caches[2].dtype, mx::float32);
  auto y = logits(*model, some_tokens);
  EXPECT_EQ(y.shape(), (mx::Shape{1, 7, 1001}));
  EXPECT_EQ(y.dtype(), mx::float32);
}

TEST(Llama, ParametersCoverEveryWeight) {
  auto files = random_llama({.tied = false, .attention_bias = true});
  const auto given = files.weights;
  auto model = make_model(std::move(files));
  std::map<std::string, mx::array> held;
  for (auto& [name, array] : model->parameters()) {
    held.emplace(name, array);
  }
  for (auto& [name, array] : given) {
    ASSERT_TRUE(held.count(name)) << name;
    EXPECT_TRUE(mx::array_equal(held.at(name), array).item<bool>()) << name;
  }
}

// Placeholders carry no data; a forward that looks at values would throw.
TEST(Llama, BuildsItsGraphWithoutData) {
  auto model = make_model(random_llama({}));
  auto caches = growing_caches(*model);
  mx::array token({1, 1}, mx::int32, nullptr, {});
  auto y = model->forward(token, caches);
  EXPECT_EQ(y.shape(), (mx::Shape{1, 1, 1001}));
}

TEST(Llama, RopeFactorsOfGgufActAsLinearScaling) {
  RandomLlama options{.rope_traditional = true};
  auto files = random_llama(options);
  files.weights.insert_or_assign(
      "rope_freqs.weight", mx::full({32}, 4.0f, mx::float32));
  auto by_factors = make_model(std::move(files));
  options.rope_scaling = {{"rope_type", "linear"}, {"factor", 4.0}};
  auto by_scaling = make_model(random_llama(options));
  EXPECT_LT(
      distance(
          logits(*by_factors, some_tokens), logits(*by_scaling, some_tokens)),
      1e-4);
}

TEST(Llama, TiedModelsDropAHeadThatCameAlong) {
  auto files = random_llama({});
  files.weights.insert_or_assign("lm_head.weight", mx::zeros({1001, 192}));
  files.weights.insert_or_assign(
      "model.layers.0.self_attn.rotary_emb.inv_freq", mx::zeros({32}));
  auto model = make_model(std::move(files));
  auto same = make_model(random_llama({}));
  EXPECT_EQ(
      distance(logits(*model, some_tokens), logits(*same, some_tokens)), 0);
}

void expect_says(const std::string& message, const std::string& part) {
  EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST(LlamaErrors, MissingWeight) {
  auto files = random_llama({});
  files.weights.erase("model.layers.1.mlp.up_proj.weight");
  expect_says(refusal(std::move(files)), "model.layers.1.mlp.up_proj.weight");
}

TEST(LlamaErrors, WeightOfAnotherShape) {
  auto files = random_llama({.bits = 0});
  files.weights.insert_or_assign("model.norm.weight", mx::ones({191}));
  expect_says(refusal(std::move(files)), "model.norm.weight");
}

TEST(LlamaErrors, WeightOfAnotherType) {
  auto files = random_llama({.bits = 0});
  files.weights.insert_or_assign(
      "model.norm.weight", mx::ones({192}, mx::int32));
  expect_says(refusal(std::move(files)), "floating-point");
}

TEST(LlamaErrors, LeftOverWeight) {
  auto files = random_llama({});
  files.weights.insert_or_assign(
      "model.layers.0.self_attn.q_norm.weight", mx::ones({64}));
  expect_says(
      refusal(std::move(files)), "model.layers.0.self_attn.q_norm.weight");
}

// A config with one key changed.
std::string refusal_with(const std::string& key, const nlohmann::json& value) {
  auto files = random_llama({});
  auto json = files.config.json();
  json[key] = value;
  files.config = io::Config(json, "config.json");
  return refusal(std::move(files));
}

TEST(LlamaErrors, ConfigsThatAreNotThisFunction) {
  expect_says(refusal_with("model_type", "gpt9"), "known: llama");
  expect_says(refusal_with("hidden_act", "gelu"), "hidden_act \"gelu\"");
  expect_says(refusal_with("num_key_value_heads", 2), "multiple");
  expect_says(refusal_with("head_dim", 63), "even");
  expect_says(refusal_with("head_dim", 1 << 30), "too many");
  expect_says(refusal_with("num_hidden_layers", 1 << 29), "model.layers.2");
  expect_says(
      refusal_with("rope_scaling", {{"rope_type", "yarn"}, {"factor", 2.0}}),
      "\"yarn\"");
  expect_says(
      refusal_with("layer_types", {"full_attention", "sliding_attention"}),
      "sliding_attention");
}

} // namespace
} // namespace zmlx::models
