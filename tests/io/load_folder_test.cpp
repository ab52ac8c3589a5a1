#include <gtest/gtest.h>

#include "tests/io/folder_builder.h"
#include "zmlx/io/model_files.h"
#include "zmlx/io/weights.h"

namespace zmlx::io::testing {
namespace {

using nlohmann::json;

ModelFiles load(const FolderBuilder& builder) {
  TempFolder folder;
  builder.write_to(folder);
  return load_model_files(folder.path());
}

/// A folder whose weights are `arrays`, saved by MLX.
ModelFiles load_saved(const json& quantization, const Weights& arrays) {
  FolderBuilder builder;
  builder.files.clear();
  builder.index = nullptr;
  builder.config["quantization"] = quantization;
  TempFolder folder;
  builder.write_to(folder);
  mx::save_safetensors((folder.path() / "model.safetensors").string(), arrays);
  return load_model_files(folder.path());
}

void add_quantized(
    Weights& weights,
    const std::string& layer,
    const mx::array& dense,
    const Quantization& q) {
  auto parts = mx::quantize(dense, q.group_size, q.bits, q.mode);
  const char* names[] = {".weight", ".scales", ".biases"};
  for (size_t i = 0; i < parts.size(); i++) {
    weights.insert_or_assign(layer + names[i], parts[i]);
  }
}

TEST(LoadFolder, ReadsShardsAndConfig) {
  auto files = load(FolderBuilder());
  EXPECT_FALSE(files.is_gguf);
  EXPECT_TRUE(files.gguf_metadata.empty());
  EXPECT_EQ(files.weights.size(), 11u);
  EXPECT_EQ(
      files.weights.at("model.layers.0.mlp.up_proj.weight").shape(),
      (mx::Shape{64, 4}));
  EXPECT_EQ(
      files.quantization("model.embed_tokens"),
      (Quantization{32, 4, "affine"}));
  EXPECT_FALSE(files.quantization("model.norm"));
  EXPECT_EQ(files.config.require_int("head_dim", 1, 100), 16);
}

TEST(LoadFolder, WorksWithoutAnIndex) {
  FolderBuilder builder;
  builder.index = nullptr;
  builder.files["adapters.safetensors"] = "not of the model";
  EXPECT_EQ(load(builder).weights.size(), 11u);
}

TEST(LoadFolder, ReportsProgressOfEveryShard) {
  FolderBuilder builder;
  TempFolder folder;
  builder.write_to(folder);
  std::vector<std::string> items;
  uint64_t last = 0, total = 0;
  load_model_files(folder.path(), {[&](auto& item, auto done, auto all) {
                     EXPECT_GE(done, last);
                     items.push_back(item);
                     last = done;
                     total = all;
                   }});
  EXPECT_EQ(items.front(), "model-00001-of-00002.safetensors");
  EXPECT_EQ(items.back(), "model-00002-of-00002.safetensors");
  EXPECT_EQ(last, total);
  EXPECT_GT(total, 0u);
}

TEST(LoadFolder, ValuesAreThoseThatWereSaved) {
  auto dense = mx::random::normal({48, 256}, mx::float32);
  auto half = mx::astype(dense, mx::bfloat16);
  auto files = load_saved(nullptr, {{"a.weight", dense}, {"b.weight", half}});
  EXPECT_TRUE(
      mx::array_equal(files.weights.at("a.weight"), dense).item<bool>());
  EXPECT_TRUE(mx::array_equal(files.weights.at("b.weight"), half).item<bool>());
  EXPECT_EQ(files.weights.at("b.weight").dtype(), mx::bfloat16);
}

TEST(LoadFolder, EveryQuantisationOfMlx) {
  auto dense = mx::random::normal({48, 256}, mx::float32);
  std::vector<Quantization> all = {{32, 4, "mxfp4"}};
  for (int group_size : {32, 64, 128}) {
    for (int bits : {2, 3, 4, 5, 6, 8}) {
      all.push_back({group_size, bits, "affine"});
    }
  }
  for (const auto& q : all) {
    SCOPED_TRACE(q.mode + " " + std::to_string(q.bits));
    Weights weights;
    add_quantized(weights, "a", dense, q);
    auto files = load_saved(
        {{"group_size", q.group_size}, {"bits", q.bits}, {"mode", q.mode}},
        weights);
    EXPECT_EQ(files.quantization("a"), q);
    EXPECT_TRUE(
        mx::array_equal(files.weights.at("a.weight"), weights.at("a.weight"))
            .item<bool>());
  }
}

TEST(LoadFolder, LayersOverrideTheirQuantisation) {
  auto dense = mx::random::normal({48, 256}, mx::float32);
  Weights weights;
  add_quantized(weights, "usual", dense, {32, 4, "mxfp4"});
  add_quantized(weights, "wide", dense, {64, 8, "affine"});
  add_quantized(weights, "named", dense, {32, 4, "mxfp4"});
  weights.insert_or_assign("dense.weight", dense);
  // An override without a mode is affine, whatever the others are.
  auto files = load_saved(
      {{"group_size", 32},
       {"bits", 4},
       {"mode", "mxfp4"},
       {"wide", {{"group_size", 64}, {"bits", 8}}},
       {"named", true},
       {"dense", false}},
      weights);
  EXPECT_EQ(files.quantization("usual"), (Quantization{32, 4, "mxfp4"}));
  EXPECT_EQ(files.quantization("wide"), (Quantization{64, 8, "affine"}));
  EXPECT_EQ(files.quantization("named"), (Quantization{32, 4, "mxfp4"}));
  EXPECT_FALSE(files.quantization("dense"));
  EXPECT_FALSE(files.quantization("nothing"));
}

TEST(LoadFolder, QuantizationConfigIsTheOlderName) {
  FolderBuilder builder;
  builder.config["quantization_config"] = builder.config["quantization"];
  builder.config.erase("quantization");
  EXPECT_EQ(
      load(builder).quantization("model.embed_tokens"),
      (Quantization{32, 4, "affine"}));
}

TEST(LoadFolder, NewerConfigsReadAsOlderOnes) {
  FolderBuilder builder;
  builder.config.erase("rope_theta");
  builder.config.erase("num_key_value_heads");
  builder.config["rope_parameters"] = {
      {"rope_theta", 5e5}, {"rope_type", "llama3"}, {"factor", 8.0}};
  builder.config["num_local_experts"] = 16;
  builder.config["bos_token_id"] = nullptr;
  auto config = load(builder).config;
  EXPECT_EQ(config.require_float("rope_theta", 1, 1e9), 5e5);
  auto scaling = config.object("rope_scaling");
  ASSERT_TRUE(scaling);
  EXPECT_EQ(scaling->require_string("rope_type"), "llama3");
  EXPECT_EQ(scaling->require_float("factor", 1, 100), 8);
  EXPECT_FALSE(scaling->has("rope_theta"));
  EXPECT_EQ(config.require_int("num_experts", 1, 100), 16);
  EXPECT_EQ(config.require_int("num_key_value_heads", 1, 100), 2);
  EXPECT_TRUE(config.int_or_ints("bos_token_id", 0, 7).empty());
}

TEST(LoadFolder, RopeOfTypeDefaultIsNoScaling) {
  for (const char* key : {"type", "rope_type"}) {
    FolderBuilder builder;
    builder.config["rope_parameters"] = {{"rope_theta", 5e5}, {key, "default"}};
    EXPECT_FALSE(load(builder).config.has("rope_scaling"));
  }
  FolderBuilder builder;
  builder.config["rope_scaling"] = {{"type", "linear"}, {"factor", 2.0}};
  auto scaling = load(builder).config.object("rope_scaling");
  EXPECT_EQ(scaling->require_string("rope_type"), "linear");
}

TEST(LoadFolder, StopTokensOfGenerationConfigWin) {
  FolderBuilder builder;
  builder.config["eos_token_id"] = 1;
  EXPECT_EQ(
      load(builder).config.int_or_ints("eos_token_id", 0, 7),
      std::vector<int>{1});
  builder.files["generation_config.json"] = R"({"eos_token_id": [2, 5]})";
  EXPECT_EQ(
      load(builder).config.int_or_ints("eos_token_id", 0, 7),
      (std::vector<int>{2, 5}));
}

TEST(Take, ChecksNameAndShape) {
  ModelFiles files{
      .config = Config(nlohmann::json::object(), "config"),
      .weights = {{"a", mx::zeros({2, 3})}},
      .root = "/models/x"};
  expect_user_error(
      [&] {
        take(files, "b", {2, 3});
      },
      "/models/x: tensor 'b' is missing, expected with shape (2, 3)");
  expect_user_error(
      [&] {
        take(files, "a", {3, -1});
      },
      "/models/x: tensor 'a' has shape (2, 3), expected (3, any)");
  EXPECT_EQ(take(files, "a", {2, -1}).shape(), (mx::Shape{2, 3}));
  EXPECT_TRUE(files.weights.empty());
}

} // namespace
} // namespace zmlx::io::testing
