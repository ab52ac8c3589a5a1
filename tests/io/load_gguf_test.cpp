#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <random>
#include <set>

#include "tests/io/gguf_builder.h"
#include "tests/io/temp_folder.h"
#include "zmlx/io/chat_template.h"
#include "zmlx/io/gguf.h"
#include "zmlx/io/gguf_config.h"
#include "zmlx/io/model_files.h"
#include "zmlx/io/tokenizer.h"

namespace zmlx::io::testing {
namespace {

const std::filesystem::path smollm2 = std::filesystem::path(ZMLX_SOURCE_DIR) /
    "models/SmolLM2-135M-Instruct.Q4_1.gguf";

float half(const uint8_t* p) {
  int bits = p[0] | p[1] << 8;
  int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  float value = exponent == 0 ? std::ldexp(mantissa, -24)
                              : std::ldexp(1024 + mantissa, exponent - 25);
  return bits >> 15 ? -value : value;
}

/// Decodes one block as ggml's documentation lays it out.
using Decode = std::vector<float> (*)(const uint8_t*);

std::vector<float> decode_q4_0(const uint8_t* p) {
  std::vector<float> out(32);
  for (int i = 0; i < 16; i++) {
    out[i] = half(p) * ((p[2 + i] & 15) - 8);
    out[i + 16] = half(p) * ((p[2 + i] >> 4) - 8);
  }
  return out;
}

std::vector<float> decode_q4_1(const uint8_t* p) {
  std::vector<float> out(32);
  for (int i = 0; i < 16; i++) {
    out[i] = half(p) * (p[4 + i] & 15) + half(p + 2);
    out[i + 16] = half(p) * (p[4 + i] >> 4) + half(p + 2);
  }
  return out;
}

std::vector<float> decode_q8_0(const uint8_t* p) {
  std::vector<float> out(32);
  for (int i = 0; i < 32; i++) {
    out[i] = half(p) * static_cast<int8_t>(p[2 + i]);
  }
  return out;
}

std::vector<float> decode_q2_k(const uint8_t* p) {
  std::vector<float> out(256);
  for (int i = 0; i < 256; i++) {
    int scale = p[i / 16];
    int q = p[16 + i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
    out[i] = half(p + 80) * (scale & 15) * q - half(p + 82) * (scale >> 4);
  }
  return out;
}

std::vector<float> decode_q4_k(const uint8_t* p) {
  const uint8_t* s = p + 4;
  std::vector<float> out(256);
  for (int i = 0; i < 256; i++) {
    int j = i / 32;
    int scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
    int min = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | (s[j] >> 6) << 4;
    int q = p[16 + i / 64 * 32 + i % 32] >> (j % 2 * 4) & 15;
    out[i] = half(p) * scale * q - half(p + 2) * min;
  }
  return out;
}

std::vector<float> decode_q6_k(const uint8_t* p) {
  std::vector<float> out(256);
  for (int i = 0; i < 256; i++) {
    int n = i / 128, k = i % 128;
    int low = p[n * 64 + k % 64] >> (k / 64 * 4) & 15;
    int high = p[128 + n * 32 + k % 32] >> (k / 32 * 2) & 3;
    int scale = static_cast<int8_t>(p[192 + i / 16]);
    out[i] = half(p + 208) * scale * ((low | high << 4) - 32);
  }
  return out;
}

std::vector<float> decode_f32(const uint8_t* p) {
  float value;
  std::memcpy(&value, p, 4);
  return {value};
}

std::vector<float> decode_f16(const uint8_t* p) {
  return {half(p)};
}

std::vector<float> decode_bf16(const uint8_t* p) {
  uint32_t bits = p[0] << 16 | static_cast<uint32_t>(p[1]) << 24;
  float value;
  std::memcpy(&value, &bits, 4);
  return {value};
}

std::vector<float> decode(const std::string& bytes, size_t block, Decode f) {
  std::vector<float> out;
  for (size_t i = 0; i + block <= bytes.size(); i += block) {
    auto values = f(reinterpret_cast<const uint8_t*>(bytes.data() + i));
    out.insert(out.end(), values.begin(), values.end());
  }
  return out;
}

/// The weight of `layer` as float32, unpacked by MLX where it is packed.
std::vector<float> values(const ModelFiles& files, const std::string& layer) {
  auto weight = files.weights.at(layer + ".weight");
  if (auto q = files.quantization(layer)) {
    weight = mx::dequantize(
        weight,
        mx::astype(files.weights.at(layer + ".scales"), mx::float32),
        mx::astype(files.weights.at(layer + ".biases"), mx::float32),
        q->group_size,
        q->bits,
        q->mode);
  }
  weight = mx::contiguous(mx::astype(weight, mx::float32));
  mx::eval(weight);
  return {weight.data<float>(), weight.data<float>() + weight.size()};
}

void expect_near(
    const std::vector<float>& got,
    const std::vector<float>& expected,
    float relative) {
  ASSERT_EQ(got.size(), expected.size());
  float largest = 0;
  for (auto value : expected) {
    largest = std::max(largest, std::abs(value));
  }
  for (size_t i = 0; i < got.size(); i++) {
    ASSERT_NEAR(got[i], expected[i], relative * largest) << "element " << i;
  }
}

struct Format {
  const char* name;
  uint32_t type;
  size_t block, block_bytes;
  std::vector<size_t> halves; // where a block has float16 numbers
  Decode decode;
};

void PrintTo(const Format& format, std::ostream* out) {
  *out << format.name;
}

class GgufFormat : public ::testing::TestWithParam<Format> {};

/// Random blocks whose scales are between 2^-7 and 2^-6.
std::string random_blocks(const Format& format, size_t elements) {
  std::mt19937 random(7);
  std::string bytes;
  for (size_t i = 0; i < elements / format.block; i++) {
    std::string block;
    for (size_t j = 0; j < format.block_bytes; j++) {
      block += static_cast<char>(random());
    }
    for (auto offset : format.halves) {
      auto scale = static_cast<uint16_t>(0x2000 + random() % 1024);
      std::memcpy(&block[offset], &scale, sizeof(scale));
    }
    bytes += block;
  }
  return bytes;
}

TEST_P(GgufFormat, DecodesAsGgmlDocumentsIt) {
  const auto& format = GetParam();
  auto builder = tiny_llama_gguf();
  auto bytes = random_blocks(format, 32 * 256);
  if (format.halves.empty()) { // numbers, not blocks
    bytes.clear();
    for (int i = 0; i < 32 * 256; i++) {
      // The upper half of a float32 is a bfloat16.
      auto number = le(std::sin(static_cast<float>(i)) * 1e-30f);
      bytes.append(number.end() - format.block_bytes, number.end());
    }
  }
  builder.tensors.push_back(
      {"extra.weight", {256, 32}, format.type, bytes, {}});
  TempFolder folder;
  auto files = load_model_files(folder.write("m.gguf", builder.bytes()));
  bool packed = files.quantization("extra").has_value();
  EXPECT_EQ(packed, format.block == 32 || format.type == ggml_q4_k);
  // Packed: biases are rounded to float16; K quants decode into float16.
  float tolerance = format.block == 1 ? 0.0f : 0x1p-10f;
  expect_near(
      values(files, "extra"),
      decode(bytes, format.block_bytes, format.decode),
      tolerance);
}

INSTANTIATE_TEST_SUITE_P(
    Formats,
    GgufFormat,
    ::testing::Values(
        Format{"F32", ggml_f32, 1, 4, {}, decode_f32},
        Format{"F16", ggml_f16, 1, 2, {0}, decode_f16},
        Format{"BF16", ggml_bf16, 1, 2, {}, decode_bf16},
        Format{"Q4_0", ggml_q4_0, 32, 18, {0}, decode_q4_0},
        Format{"Q4_1", ggml_q4_1, 32, 20, {0, 2}, decode_q4_1},
        Format{"Q8_0", ggml_q8_0, 32, 34, {0}, decode_q8_0},
        Format{"Q2_K", ggml_q2_k, 256, 84, {80, 82}, decode_q2_k},
        Format{"Q4_K", ggml_q4_k, 256, 144, {0, 2}, decode_q4_k},
        Format{"Q6_K", ggml_q6_k, 256, 210, {208}, decode_q6_k}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(LoadGguf, MakesAConfig) {
  TempFolder folder;
  auto files =
      load_model_files(folder.write("m.gguf", tiny_llama_gguf().bytes()));
  EXPECT_TRUE(files.is_gguf);
  const auto& config = files.config;
  EXPECT_EQ(config.require_string("model_type"), "llama");
  EXPECT_EQ(config.require_int("hidden_size", 1, 100), 32);
  EXPECT_EQ(config.require_int("num_hidden_layers", 1, 100), 1);
  EXPECT_EQ(config.require_int("num_attention_heads", 1, 100), 2);
  EXPECT_EQ(config.require_int("num_key_value_heads", 1, 100), 1);
  EXPECT_EQ(config.require_int("head_dim", 1, 100), 16);
  EXPECT_EQ(config.require_int("intermediate_size", 1, 100), 64);
  EXPECT_EQ(config.require_int("vocab_size", 1, 100), 8);
  EXPECT_EQ(config.require_int("max_position_embeddings", 1, 1000), 128);
  EXPECT_FLOAT_EQ(config.require_float("rms_norm_eps", 0, 1), 1e-5f);
  EXPECT_EQ(config.require_float("rope_theta", 0, 1e9), 10000);
  EXPECT_EQ(config.int_or_ints("eos_token_id", 0, 7), std::vector<int>{2});
  EXPECT_TRUE(config.optional_bool("tie_word_embeddings", false));
  EXPECT_TRUE(config.optional_bool("rope_traditional", false));
  EXPECT_FALSE(config.has("rope_scaling"));
}

TEST(LoadGguf, UnderstandsTheOptionalKeys) {
  auto builder = tiny_llama_gguf();
  builder.text("llama.rope.scaling.type", "linear");
  builder.f32("llama.rope.scaling.factor", 4.0f);
  builder.u32("tokenizer.ggml.eot_token_id", 5);
  builder.u32("llama.attention.key_length", 16);
  auto head = builder.tensor("token_embd.weight");
  head.name = "output.weight";
  builder.tensors.push_back(head);
  TempFolder folder;
  auto files = load_model_files(folder.write("m.gguf", builder.bytes()));
  auto scaling = files.config.object("rope_scaling");
  ASSERT_TRUE(scaling);
  EXPECT_EQ(scaling->require_string("rope_type"), "linear");
  EXPECT_EQ(scaling->require_float("factor", 1, 100), 4);
  EXPECT_EQ(
      files.config.int_or_ints("eos_token_id", 0, 7), (std::vector<int>{2, 5}));
  EXPECT_FALSE(files.config.optional_bool("tie_word_embeddings", true));
  EXPECT_EQ(files.quantization("lm_head"), (Quantization{32, 8, "affine"}));
}

TEST(LoadGguf, IsKnownByItsFirstBytesToo) {
  TempFolder folder;
  auto builder = tiny_llama_gguf();
  const auto array = [](const std::vector<std::string>& texts) {
    auto bytes = le<uint32_t>(gguf_string) + le<uint64_t>(texts.size());
    for (const auto& text : texts) {
      bytes += gguf_text(text);
    }
    return bytes;
  };
  builder.text("tokenizer.ggml.model", "gpt2");
  builder.keys.push_back(
      {"tokenizer.ggml.tokens", gguf_array, array({"a", "b", "ab"})});
  builder.keys.push_back({"tokenizer.ggml.merges", gguf_array, array({"a b"})});
  auto path = folder.write("sha256-0123", builder.bytes());
  EXPECT_TRUE(is_gguf(path));
  EXPECT_TRUE(load_model_files(path).is_gguf);
  EXPECT_EQ(Tokenizer::load(path).encode("ab", true), std::vector<int>{2});
  EXPECT_FALSE(ChatTemplate::load(path));

  EXPECT_TRUE(is_gguf(folder.path() / "by_its_ending.gguf"));
  EXPECT_FALSE(is_gguf(folder.write("short", "GGU")));
  EXPECT_FALSE(is_gguf(folder.write("other", "GGML and more")));
  EXPECT_FALSE(is_gguf(folder.path()));
}

// As llama.cpp reads it.
TEST(LoadGguf, ScalingWithoutATypeIsLinear) {
  struct Case {
    const char* key;
    float factor;
    bool scales;
  };
  const Case cases[] = {
      {"llama.rope.scaling.factor", 4, true},
      {"llama.rope.scale_linear", 2, true},
      {"llama.rope.scaling.factor", 0, false}};
  TempFolder folder;
  for (const auto& c : cases) {
    auto builder = tiny_llama_gguf();
    builder.f32(c.key, c.factor);
    auto files = load_model_files(folder.write("m.gguf", builder.bytes()));
    auto scaling = files.config.object("rope_scaling");
    ASSERT_EQ(scaling.has_value(), c.scales) << c.key;
    if (c.scales) {
      EXPECT_EQ(scaling->require_string("rope_type"), "linear");
      EXPECT_EQ(scaling->require_float("factor", 1, 100), c.factor);
    }
  }
  auto none = tiny_llama_gguf();
  none.text("llama.rope.scaling.type", "none");
  none.f32("llama.rope.scaling.factor", 4);
  auto files = load_model_files(folder.write("m.gguf", none.bytes()));
  EXPECT_FALSE(files.config.has("rope_scaling"));
}

TEST(LoadGguf, Version2AndOtherAlignments) {
  for (uint32_t alignment : {8, 16, 256}) {
    auto builder = tiny_llama_gguf();
    builder.version = 2;
    builder.alignment = alignment;
    builder.u32("general.alignment", alignment);
    TempFolder folder;
    auto path = folder.write("m.gguf", builder.bytes());
    EXPECT_EQ(
        values(load_model_files(path), "model.layers.0.mlp.up_proj"),
        decode(builder.tensor("blk.0.ffn_up.weight").bytes, 18, decode_q4_0));
  }
}

// MLX's own reader takes 4 bytes for a 64-bit float and then loses its place.
TEST(LoadGguf, Float64MetadataDoNotConfuseMlx) {
  auto builder = tiny_llama_gguf();
  builder.keys.insert(
      builder.keys.begin(),
      {{"a.number", gguf_f64, le(0.5)},
       {"some.numbers",
        gguf_array,
        le<uint32_t>(gguf_f64) + le(uint64_t{2}) + le(1.5) + le(2.5)}});
  TempFolder folder;
  auto files = load_model_files(folder.write("m.gguf", builder.bytes()));
  EXPECT_EQ(*find_gguf<double>(files.gguf_metadata, "a.number"), 0.5);
  EXPECT_EQ(
      *find_gguf<std::vector<double>>(files.gguf_metadata, "some.numbers"),
      (std::vector<double>{1.5, 2.5}));
  EXPECT_EQ(
      values(files, "model.layers.0.self_attn.q_proj"),
      decode(builder.tensor("blk.0.attn_q.weight").bytes, 18, decode_q4_0));
  EXPECT_EQ(files.weights.size(), 3u + 8u * 3u);
}

TEST(LoadGguf, MetadataKeepTheirTypes) {
  auto builder = tiny_llama_gguf();
  auto array = [](uint32_t type, uint64_t n, const std::string& elements) {
    return le(type) + le(n) + elements;
  };
  builder.keys.push_back({"flag", gguf_bool, std::string("\1")});
  builder.keys.push_back({"byte", gguf_u8, "\xc8"});
  builder.keys.push_back(
      {"words",
       gguf_array,
       array(gguf_string, 2, gguf_text("ab") + gguf_text(""))});
  builder.keys.push_back(
      {"flags", gguf_array, array(gguf_bool, 2, std::string("\1\0", 2))});
  builder.keys.push_back({"nothing", gguf_array, array(gguf_u32, 0, "")});
  TempFolder folder;
  auto files = load_model_files(folder.write("m.gguf", builder.bytes()));
  const auto& metadata = files.gguf_metadata;
  EXPECT_TRUE(*find_gguf<bool>(metadata, "flag"));
  EXPECT_EQ(*find_gguf<int64_t>(metadata, "byte"), 200);
  using Words = std::vector<std::string>;
  EXPECT_EQ(*find_gguf<Words>(metadata, "words"), (Words{"ab", ""}));
  using Flags = std::vector<bool>;
  EXPECT_EQ(*find_gguf<Flags>(metadata, "flags"), (Flags{true, false}));
  EXPECT_TRUE(find_gguf<std::vector<int64_t>>(metadata, "nothing")->empty());
  EXPECT_EQ(find_gguf<bool>(metadata, "missing"), nullptr);
  expect_user_error(
      [&] { find_gguf<std::string>(metadata, "byte"); },
      "GGUF metadata byte: expected a string, got an integer");
}

TEST(LoadGguf, ReportsProgress) {
  TempFolder folder;
  auto path = folder.write("m.gguf", tiny_llama_gguf().bytes());
  std::vector<uint64_t> done;
  uint64_t total = 0;
  load_model_files(path, {[&](const std::string& item, auto now, auto all) {
                     EXPECT_EQ(item, "m.gguf");
                     done.push_back(now);
                     total = all;
                   }});
  ASSERT_GE(done.size(), 2u);
  EXPECT_EQ(done.front(), 0u);
  EXPECT_EQ(done.back(), total);
  EXPECT_GT(total, 0u);
}

TEST(HfWeightName, FollowsTheParts) {
  EXPECT_EQ(hf_weight_name("token_embd.scales"), "model.embed_tokens.scales");
  EXPECT_EQ(hf_weight_name("output_norm.weight"), "model.norm.weight");
  EXPECT_EQ(hf_weight_name("output.weight"), "lm_head.weight");
  EXPECT_EQ(
      hf_weight_name("blk.12.attn_output.biases"),
      "model.layers.12.self_attn.o_proj.biases");
  EXPECT_EQ(
      hf_weight_name("blk.3.ffn_norm.weight"),
      "model.layers.3.post_attention_layernorm.weight");
  for (const char* other :
       {"rope_freqs.weight",
        "blk.3.ssm_a",
        "blk.x.attn_q.weight",
        "blk..attn_q.weight",
        "blk.3",
        "blk.3.weight",
        "output",
        "."}) {
    EXPECT_EQ(hf_weight_name(other), other);
  }
}

TEST(SmolLM2, LoadsUnderHuggingFaceNames) {
  auto files = load_model_files(smollm2);
  std::set<std::string> expected = {"model.norm.weight"};
  auto packed = [&](const std::string& layer) {
    for (const char* part : {".weight", ".scales", ".biases"}) {
      expected.insert(layer + part);
    }
  };
  packed("model.embed_tokens");
  for (int i = 0; i < 30; i++) {
    auto layer = "model.layers." + std::to_string(i);
    expected.insert(layer + ".input_layernorm.weight");
    expected.insert(layer + ".post_attention_layernorm.weight");
    for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
      packed(layer + ".self_attn." + name);
    }
    for (const char* name : {"gate_proj", "up_proj", "down_proj"}) {
      packed(layer + ".mlp." + name);
    }
  }
  std::set<std::string> names;
  for (const auto& [name, array] : files.weights) {
    names.insert(name);
  }
  EXPECT_EQ(names, expected);
  EXPECT_EQ(
      files.quantization("model.embed_tokens"),
      (Quantization{32, 8, "affine"}));
  EXPECT_EQ(
      files.quantization("model.layers.29.mlp.down_proj"),
      (Quantization{32, 4, "affine"}));
  EXPECT_FALSE(files.quantization("model.norm"));
  EXPECT_EQ(files.config.require_int("vocab_size", 1, 1 << 20), 49152);
  EXPECT_EQ(files.config.require_int("head_dim", 1, 1000), 64);
  EXPECT_EQ(
      *find_gguf<std::string>(files.gguf_metadata, "tokenizer.ggml.pre"),
      "smollm");
}

TEST(SmolLM2, WeightsAreThoseOfTheFile) {
  auto header = read_gguf_header(smollm2);
  auto files = load_model_files(smollm2);
  std::ifstream file(smollm2, std::ios::binary);
  for (const auto& tensor : header.tensors) {
    if (tensor.name != "blk.17.attn_k.weight" &&
        tensor.name != "blk.3.ffn_norm.weight") {
      continue;
    }
    std::string bytes(tensor.nbytes, '\0');
    file.seekg(static_cast<std::streamoff>(tensor.offset));
    file.read(bytes.data(), static_cast<std::streamsize>(tensor.nbytes));
    bool norm = tensor.shape.size() == 1;
    expect_near(
        values(
            files,
            norm ? "model.layers.3.post_attention_layernorm"
                 : "model.layers.17.self_attn.k_proj"),
        norm ? decode(bytes, 4, decode_f32) : decode(bytes, 20, decode_q4_1),
        1e-6f);
  }
}

} // namespace
} // namespace zmlx::io::testing
