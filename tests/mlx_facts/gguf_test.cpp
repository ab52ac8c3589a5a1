#include <filesystem>

#include <gtest/gtest.h>
#include <mlx/mlx.h>

namespace mx = mlx::core;

namespace {

const char* const model =
    ZMLX_SOURCE_DIR "/models/SmolLM2-135M-Instruct.Q4_1.gguf";

class GgufFacts : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(std::filesystem::exists(model))
        << model << " is missing: ./test.sh fetches it";
  }
};

TEST_F(GgufFacts, TypesOfTheReader) {
  auto [arrays, metadata] = mx::load_gguf(model);
  auto dtype_of = [&](const char* name) { return arrays.at(name).dtype(); };
  auto shape_of = [&](const char* name) { return arrays.at(name).shape(); };
  // Q4_1: 8 weights a word, a scale and a bias for 32.
  EXPECT_EQ(dtype_of("blk.0.ffn_gate.weight"), mx::uint32);
  EXPECT_EQ(shape_of("blk.0.ffn_gate.weight"), (mx::Shape{1536, 72}));
  EXPECT_EQ(dtype_of("blk.0.ffn_gate.scales"), mx::float16);
  EXPECT_EQ(dtype_of("blk.0.ffn_gate.biases"), mx::float16);
  EXPECT_EQ(shape_of("blk.0.ffn_gate.scales"), (mx::Shape{1536, 18}));
  // Q8_0: 4 weights a word.
  EXPECT_EQ(dtype_of("token_embd.weight"), mx::uint32);
  EXPECT_EQ(shape_of("token_embd.weight"), (mx::Shape{49152, 144}));
  EXPECT_EQ(shape_of("token_embd.scales"), (mx::Shape{49152, 18}));
  EXPECT_EQ(dtype_of("blk.0.attn_norm.weight"), mx::float32);
  // The embedding is tied.
  EXPECT_EQ(arrays.count("output.weight"), 0u);
}

TEST_F(GgufFacts, MetadataIsArraysStringsAndLists) {
  auto [arrays, metadata] = mx::load_gguf(model);
  EXPECT_EQ(
      std::get<std::string>(metadata.at("general.architecture")), "llama");
  EXPECT_EQ(
      std::get<mx::array>(metadata.at("llama.block_count")).item<int>(), 30);
  EXPECT_EQ(
      std::get<std::vector<std::string>>(metadata.at("tokenizer.ggml.tokens"))
          .size(),
      49152u);
}

} // namespace
