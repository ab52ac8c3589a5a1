#include <gtest/gtest.h>

#include "tests/io/gguf_builder.h"
#include "tests/io/temp_folder.h"
#include "zmlx/io/model_files.h"

namespace zmlx::io::testing {
namespace {

struct MalformedGguf {
  const char* name;
  std::function<void(GgufBuilder&)> change; // of a file that loads
  const char* expected; // in the error
};

void PrintTo(const MalformedGguf& c, std::ostream* out) {
  *out << c.name;
}

class MalformedGgufs : public ::testing::TestWithParam<MalformedGguf> {};

TEST_P(MalformedGgufs, GiveOneClearError) {
  auto builder = tiny_llama_gguf();
  GetParam().change(builder);
  TempFolder folder;
  auto path = folder.write("model.gguf", builder.bytes());
  expect_user_error([&] { load_model_files(path); }, GetParam().expected);
  // Whatever is wrong, the message says where.
  expect_user_error([&] { load_model_files(path); }, path.string());
}

using B = GgufBuilder;
constexpr const char* q = "blk.0.attn_q.weight";
constexpr uint64_t huge = uint64_t{1} << 60;

void set_u32(B& b, const char* key, uint32_t value) {
  b.key(key).value = le(value);
}

const MalformedGguf container_cases[] = {
    {"Magic", [](B& b) { b.magic = "GGML"; }, "not a GGUF file"},
    {"Version0",
     [](B& b) { b.version = 0; },
     "GGUF version 0, expected 2 or 3"},
    {"Version1",
     [](B& b) { b.version = 1; },
     "GGUF version 1, expected 2 or 3"},
    {"Version4",
     [](B& b) { b.version = 4; },
     "GGUF version 4, expected 2 or 3"},
    {"BigEndian", [](B& b) { b.version = 0x03000000; }, "big-endian"},
    {"KeyCountHuge", [](B& b) { b.n_keys = huge; }, "metadata keys do not fit"},
    {"TensorCountHuge", [](B& b) { b.n_tensors = huge; }, "tensors do not fit"},
    {"KeyCountMax", [](B& b) { b.n_keys = UINT64_MAX; }, "do not fit"},
    {"KeyCountOneMore",
     [](B& b) { b.n_keys = b.keys.size() + 1; },
     "a tensor name at byte"},
    {"KeyCountOneLess",
     [](B& b) { b.n_keys = b.keys.size() - 1; },
     "tensor 'tokenizer.ggml.eos_token_id': dimension"},
    {"KeyEmpty", [](B& b) { b.u32("", 1); }, "length 0, expected 1 to 65535"},
    {"KeyTooLong",
     [](B& b) { b.u32(std::string(65536, 'k'), 1); },
     "length 65536"},
    {"KeyDuplicate",
     [](B& b) { b.u32("llama.block_count", 1); },
     "duplicate key 'llama.block_count'"},
    {"ValueTypeUnknown",
     [](B& b) {
       b.keys.push_back({"x", 13, le(uint64_t{0})});
     },
     "key 'x': unknown value type 13"},
    {"BoolNeither",
     [](B& b) {
       b.keys.push_back({"x", gguf_bool, "\x02"});
     },
     "bool is 2, expected 0 or 1"},
    {"StringTooLong",
     [](B& b) {
       b.keys.push_back({"x", gguf_string, le(huge)});
     },
     "truncated: a string"},
    {"StringWraps",
     [](B& b) {
       b.keys.push_back({"x", gguf_string, le(UINT64_MAX)});
     },
     "truncated: a string"},
    {"UnsignedTooLarge",
     [](B& b) {
       b.keys.push_back({"x", gguf_u64, le(UINT64_MAX)});
     },
     "18446744073709551615 is too large"},
    {"ArrayTooLong",
     [](B& b) {
       b.keys.push_back({"x", gguf_array, le<uint32_t>(gguf_u8) + le(huge)});
     },
     "does not fit in the"},
    {"ArrayWraps",
     [](B& b) {
       b.keys.push_back(
           {"x", gguf_array, le<uint32_t>(gguf_u64) + le(uint64_t{1} << 61)});
     },
     "does not fit in the"},
    {"ArrayOfStringsTooLong",
     [](B& b) {
       b.keys.push_back(
           {"x",
            gguf_array,
            le<uint32_t>(gguf_string) + le(uint64_t{9999999})});
     },
     "an array of 9999999 elements does not fit"},
    {"ArrayOfArrays",
     [](B& b) {
       b.keys.push_back(
           {"x", gguf_array, le<uint32_t>(gguf_array) + le(uint64_t{0})});
     },
     "arrays of arrays are not supported"},
    {"ArrayElementTypeUnknown",
     [](B& b) {
       b.keys.push_back({"x", gguf_array, le<uint32_t>(99) + le(uint64_t{0})});
     },
     "unknown element type 99"},
    {"Alignment0",
     [](B& b) { b.u32("general.alignment", 0); },
     "general.alignment is 0, expected a power of two"},
    {"Alignment4",
     [](B& b) { b.u32("general.alignment", 4); },
     "general.alignment is 4, expected a power of two"},
    {"Alignment48",
     [](B& b) { b.u32("general.alignment", 48); },
     "general.alignment is 48, expected a power of two"},
    {"AlignmentHuge",
     [](B& b) { b.u32("general.alignment", 1u << 31); },
     "general.alignment is 2147483648"},
    {"AlignmentOfAnotherType",
     [](B& b) {
       b.keys.push_back({"general.alignment", gguf_u64, le(uint64_t{32})});
     },
     "expected a 32-bit unsigned integer"},
    {"AlignmentNotFollowed",
     [](B& b) { b.u32("general.alignment", 64); },
     "is not a multiple of the alignment 64"},
};

const MalformedGguf tensor_cases[] = {
    {"TensorNameEmpty",
     [](B& b) { b.tensor(q).name = ""; },
     "a tensor name at byte"},
    {"TensorNameTooLong",
     [](B& b) { b.tensor(q).name = std::string(2000, 'n'); },
     "has length 2000, expected 1 to 1024"},
    {"TensorDuplicate",
     [](B& b) { b.tensor(q).name = "blk.0.attn_output.weight"; },
     "duplicate tensor 'blk.0.attn_output.weight'"},
    {"NoDims", [](B& b) { b.tensor(q).dims = {}; }, "0 dimensions, expected 1"},
    {"FiveDims",
     [](B& b) {
       b.tensor(q).dims = {32, 32, 1, 1, 1};
     },
     "5 dimensions, expected 1 to 4"},
    {"NineDims",
     [](B& b) {
       b.tensor(q).dims = {32, 32, 1, 1, 1, 1, 1, 1, 1};
     },
     "9 dimensions, expected 1 to 4"},
    {"DimZero",
     [](B& b) {
       b.tensor(q).dims = {32, 0};
     },
     "dimension 0, expected 1"},
    {"DimHuge",
     [](B& b) {
       b.tensor(q).dims = {huge, 32};
     },
     "dimension 1152921504606846976"},
    {"DimNegative",
     [](B& b) {
       b.tensor(q).dims = {static_cast<uint64_t>(-32), 32};
     },
     "dimension 18446744073709551584"},
    {"DimsOverflow",
     [](B& b) {
       b.tensor(q).dims = {1u << 30, 1u << 30, 1u << 30};
     },
     "product of its dimensions overflows"},
    {"DimsWrapToZero",
     [](B& b) {
       b.tensor(q).dims = {1u << 30, 1u << 30, 16};
     },
     "product of its dimensions overflows"},
    {"DimsPastTheFile",
     [](B& b) {
       b.tensor(q).dims = {32, 1u << 20};
     },
     "elements do not fit in a file"},
    {"RowsNotBlocks",
     [](B& b) {
       b.tensor(q).dims = {16, 64};
     },
     "rows of 16 do not divide into Q4_0's blocks of 32"},
    {"Type999",
     [](B& b) { b.tensor(q).type = 999; },
     "tensor 'blk.0.attn_q.weight': type 999 is not supported"},
    {"TypeDeprecated", [](B& b) { b.tensor(q).type = 4; }, "type Q4_2"},
    {"TypeQ5_0",
     [](B& b) { b.tensor(q).type = ggml_q5_0; },
     "type Q5_0 is not supported, expected one of F32, F16, Q4_0"},
    {"TypeQ3_K", [](B& b) { b.tensor(q).type = 11; }, "type Q3_K"},
    {"TypeIQ4_XS", [](B& b) { b.tensor(q).type = 23; }, "type IQ4_XS"},
    {"TypeF64", [](B& b) { b.tensor(q).type = 28; }, "type F64"},
    {"OffsetUnaligned",
     [](B& b) { b.tensor(q).offset = 33; },
     "offset 33 is not a multiple of the alignment 32"},
    {"OffsetPastTheEnd",
     [](B& b) { b.tensor(q).offset = 1u << 20; },
     "pass the end of the file"},
    {"OffsetWraps",
     [](B& b) { b.tensor(q).offset = UINT64_MAX - 31; },
     "pass the end of the file"},
    {"Overlap", [](B& b) { b.tensor(q).offset = 0; }, "overlap with those of"},
    {"TooFewBytes",
     [](B& b) { b.tensors.back().bytes.pop_back(); },
     "truncated?"},
    {"PackedNameWithoutWeight",
     [](B& b) { b.tensor(q).name = "q"; },
     "a packed tensor's name must end in '.weight'"},
    {"PackedNameTaken",
     [](B& b) { b.tensor("output_norm.weight").name = "blk.0.attn_q.scales"; },
     "the name is taken by the parts of 'blk.0.attn_q.weight'"},
    {"IntegerMatrix",
     [](B& b) {
       b.tensor(q).type = 26;
       b.tensor(q).bytes = std::string(32 * 32 * 4, '\1');
     },
     "expected a floating-point type"},
};

const MalformedGguf model_cases[] = {
    {"NoArchitecture",
     [](B& b) { b.remove_key("general.architecture"); },
     "'general.architecture' is missing"},
    {"ArchitectureNotText",
     [](B& b) {
       b.key("general.architecture") = {
           "general.architecture", gguf_u32, le(uint32_t{1})};
     },
     "expected a string, got an integer"},
    {"NoHiddenSize",
     [](B& b) { b.remove_key("llama.embedding_length"); },
     "key 'llama.embedding_length' is missing"},
    {"HiddenSizeText",
     [](B& b) {
       b.key("llama.embedding_length") = {
           "llama.embedding_length", gguf_string, gguf_text("32")};
     },
     "is a string, expected a number"},
    {"HiddenSizeZero",
     [](B& b) { set_u32(b, "llama.embedding_length", 0); },
     "expected"},
    {"NoLayers",
     [](B& b) { set_u32(b, "llama.block_count", 0); },
     "'num_hidden_layers' is 0, expected an integer in [1"},
    {"LayersHuge",
     [](B& b) { set_u32(b, "llama.block_count", UINT32_MAX); },
     "'num_hidden_layers' is 4294967295"},
    {"HeadsZero",
     [](B& b) {
       b.remove_key("llama.rope.dimension_count");
       set_u32(b, "llama.attention.head_count", 0);
     },
     "'num_attention_heads' is 0"},
    {"HeadsDoNotDivide",
     [](B& b) {
       b.remove_key("llama.rope.dimension_count");
       set_u32(b, "llama.attention.head_count", 3);
     },
     "'hidden_size' is 32, expected a multiple of 'num_attention_heads'"},
    {"KvHeadsDoNotDivide",
     [](B& b) { set_u32(b, "llama.attention.head_count_kv", 3); },
     "expected a multiple of 'num_key_value_heads', which is 3"},
    {"EpsilonNotFinite",
     [](B& b) {
       b.key("llama.attention.layer_norm_rms_epsilon").value = le(NAN);
     },
     "'rms_norm_eps' is"},
    {"RopeBaseNegative",
     [](B& b) { b.key("llama.rope.freq_base").value = le(-1.0f); },
     "'rope_theta' is -1.0"},
    {"RopeDimensionsOfAnotherHead",
     [](B& b) { set_u32(b, "llama.rope.dimension_count", 8); },
     "is 8, expected the head dimension 16"},
    {"Experts",
     [](B& b) { b.u32("llama.expert_count", 8); },
     "mixture-of-experts models"},
    {"StopTokenPastTheVocabulary",
     [](B& b) { set_u32(b, "tokenizer.ggml.eos_token_id", 8); },
     "'eos_token_id' is 8, expected an integer in [0, 7]"},
    {"NoEmbedding",
     [](B& b) { b.remove_tensor("token_embd.weight"); },
     "expected a tensor 'token_embd.weight'"},
    {"EmbeddingOfOneDim",
     [](B& b) { b.tensor("token_embd.weight").dims = {256}; },
     "with 2 dimensions, it has 1"},
    {"NoTensors", [](B& b) { b.tensors.clear(); }, "there is none"},
};

auto by_name = [](const auto& info) { return std::string(info.param.name); };
INSTANTIATE_TEST_SUITE_P(
    Container,
    MalformedGgufs,
    ::testing::ValuesIn(container_cases),
    by_name);
INSTANTIATE_TEST_SUITE_P(
    Tensor,
    MalformedGgufs,
    ::testing::ValuesIn(tensor_cases),
    by_name);
INSTANTIATE_TEST_SUITE_P(
    Model,
    MalformedGgufs,
    ::testing::ValuesIn(model_cases),
    by_name);

TEST(TruncatedGguf, EveryLengthIsAnError) {
  auto bytes = tiny_llama_gguf().bytes();
  TempFolder folder;
  for (size_t length = 0; length < bytes.size(); length++) {
    auto path = folder.write("model.gguf", bytes.substr(0, length));
    EXPECT_THROW(load_model_files(path), UserError) << length << " bytes";
  }
}

// What passes our checks must be safe for MLX: whatever one byte of the header
// says, the file loads or gives a UserError.
TEST(DamagedGguf, EveryHeaderByteIsSafe) {
  auto builder = tiny_llama_gguf();
  auto bytes = builder.bytes();
  auto header_size = builder.header().size();
  TempFolder folder;
  int errors = 0;
  for (size_t i = 0; i < header_size; i++) {
    for (unsigned char value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      auto damaged = bytes;
      damaged[i] = static_cast<char>(value);
      auto path = folder.write("model.gguf", damaged);
      try {
        load_model_files(path);
      } catch (const UserError&) {
        errors++;
      }
    }
  }
  EXPECT_GT(errors, static_cast<int>(header_size));
}

} // namespace
} // namespace zmlx::io::testing
