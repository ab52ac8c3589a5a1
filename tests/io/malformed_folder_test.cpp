#include <gtest/gtest.h>

#include "tests/io/folder_builder.h"
#include "zmlx/io/model_files.h"

namespace zmlx::io::testing {
namespace {

using F = FolderBuilder;

struct MalformedFolder {
  const char* name;
  std::function<void(F&)> change; // of a folder that loads
  const char* expected; // in the error
};

void PrintTo(const MalformedFolder& c, std::ostream* out) {
  *out << c.name;
}

class MalformedFolders : public ::testing::TestWithParam<MalformedFolder> {};

TEST_P(MalformedFolders, GiveOneClearError) {
  FolderBuilder builder;
  GetParam().change(builder);
  TempFolder folder;
  builder.write_to(folder);
  auto load = [&] { load_model_files(folder.path()); };
  expect_user_error(load, GetParam().expected);
  expect_user_error(load, folder.path().string());
}

constexpr const char* first = "model-00001-of-00002.safetensors";
constexpr const char* second = "model-00002-of-00002.safetensors";

const MalformedFolder config_cases[] = {
    {"Empty", [](F& f) { f.config_text = ""; }, "not valid JSON"},
    {"NotJson", [](F& f) { f.config_text = "{'a': 1}"; }, "not valid JSON"},
    {"Comment", [](F& f) { f.config_text = "{} // x"; }, "not valid JSON"},
    {"Truncated",
     [](F& f) { f.config_text = f.config.dump().substr(0, 60); },
     "not valid JSON"},
    {"Array", [](F& f) { f.config_text = "[]"; }, "expected a JSON object"},
    {"DuplicateKey",
     [](F& f) { f.config_text = R"({"vocab_size": 8, "vocab_size": 9})"; },
     "duplicate JSON key 'vocab_size'"},
    {"Deep",
     [](F& f) {
       f.config_text = "{\"a\":" + std::string(100000, '[') +
           std::string(100000, ']') + "}";
     },
     "nested deeper than 64 levels"},
    {"NoModelType",
     [](F& f) { f.config.erase("model_type"); },
     "'model_type' is missing, expected a string"},
    {"ModelTypeNumber",
     [](F& f) { f.config["model_type"] = 3; },
     "'model_type' is 3, expected a string"},
    {"NoHiddenSize",
     [](F& f) { f.config.erase("hidden_size"); },
     "'hidden_size' is missing, expected an integer"},
    {"HiddenSizeNull",
     [](F& f) { f.config["hidden_size"] = nullptr; },
     "'hidden_size' is missing"},
    {"HiddenSizeText",
     [](F& f) { f.config["hidden_size"] = "32"; },
     R"('hidden_size' is "32", expected an integer in [1, 1048576])"},
    {"HiddenSizeFraction",
     [](F& f) { f.config["hidden_size"] = 32.5; },
     "'hidden_size' is 32.5"},
    {"HiddenSizeNegative",
     [](F& f) { f.config["hidden_size"] = -32; },
     "'hidden_size' is -32"},
    {"HiddenSizeHuge",
     [](F& f) { f.config["hidden_size"] = UINT64_MAX; },
     "'hidden_size' is 18446744073709551615"},
    {"HiddenSizeWrapsInt",
     [](F& f) { f.config["hidden_size"] = (int64_t{1} << 32) + 32; },
     "'hidden_size' is 4294967328"},
    {"LayersZero",
     [](F& f) { f.config["num_hidden_layers"] = 0; },
     "'num_hidden_layers' is 0"},
    {"LayersHuge",
     [](F& f) { f.config["num_hidden_layers"] = 1e9; },
     "'num_hidden_layers' is 1000000000.0"},
    {"HeadsZero",
     [](F& f) { f.config["num_attention_heads"] = 0; },
     "'num_attention_heads' is 0"},
    {"HeadsDoNotDivide",
     [](F& f) { f.config["num_attention_heads"] = 3; },
     "'hidden_size' is 32, expected a multiple of 'num_attention_heads', "
     "which is 3"},
    {"KvHeadsDoNotDivide",
     [](F& f) { f.config["num_key_value_heads"] = 3; },
     "expected a multiple of 'num_key_value_heads', which is 3"},
    {"KvHeadsZero",
     [](F& f) { f.config["num_key_value_heads"] = 0; },
     "'num_key_value_heads' is 0"},
    {"HeadDimZero", [](F& f) { f.config["head_dim"] = 0; }, "'head_dim' is 0"},
    {"VocabularyZero",
     [](F& f) { f.config["vocab_size"] = 0; },
     "'vocab_size' is 0"},
    {"EpsilonText",
     [](F& f) { f.config["rms_norm_eps"] = "1e-5"; },
     R"('rms_norm_eps' is "1e-5", expected a number in [0, 1])"},
    {"EpsilonNegative",
     [](F& f) { f.config["rms_norm_eps"] = -1e-5; },
     "'rms_norm_eps' is -1e-05"},
    {"RopeThetaZero",
     [](F& f) { f.config["rope_theta"] = 0; },
     "'rope_theta' is 0"},
    {"RopeScalingText",
     [](F& f) { f.config["rope_scaling"] = "linear"; },
     "'rope_scaling': expected a JSON object"},
    {"RopeParametersThetaText",
     [](F& f) {
       f.config["rope_parameters"] = {{"rope_theta", "big"}};
     },
     R"('rope_theta' is "big")"},
    {"TieNumber",
     [](F& f) { f.config["tie_word_embeddings"] = 1; },
     "'tie_word_embeddings' is 1, expected true or false"},
    {"StopTokens",
     [](F& f) {
       f.config["eos_token_id"] = {1, 8};
     },
     "'eos_token_id' is 8, expected an integer in [0, 7]"},
    {"StopTokensOfGeneration",
     [](F& f) {
       f.files["generation_config.json"] = R"({"eos_token_id": -1})";
     },
     "'eos_token_id' is -1"},
    {"Positions",
     [](F& f) { f.config["max_position_embeddings"] = -1; },
     "'max_position_embeddings' is -1"},
};

const MalformedFolder quantization_cases[] = {
    {"Missing",
     [](F& f) { f.config.erase("quantization"); },
     "'quantization' is missing, but the weights of"},
    {"Text",
     [](F& f) { f.config["quantization"] = "4bit"; },
     "'quantization': expected a JSON object"},
    {"Bits7",
     [](F& f) { f.config["quantization"]["bits"] = 7; },
     "'bits' is 7, expected 2, 3, 4, 5, 6 or 8"},
    {"Bits0",
     [](F& f) { f.config["quantization"]["bits"] = 0; },
     "'bits' is 0"},
    {"GroupSize48",
     [](F& f) { f.config["quantization"]["group_size"] = 48; },
     "'group_size' is 48, expected 32, 64 or 128"},
    {"ModeUnknown",
     [](F& f) { f.config["quantization"]["mode"] = "int4"; },
     "'mode' is 'int4', expected 'affine' or 'mxfp4'"},
    {"Mxfp4Bits8",
     [](F& f) {
       f.config["quantization"] = {{"mode", "mxfp4"}, {"bits", 8}};
     },
     "'bits' is 8, expected 4 for mode 'mxfp4'"},
    {"Mxfp4GroupSize64",
     [](F& f) {
       f.config["quantization"] = {{"mode", "mxfp4"}, {"group_size", 64}};
     },
     "'group_size' is 64, expected 32 for mode 'mxfp4'"},
    {"Mxfp4OfAffineScales",
     [](F& f) {
       f.config["quantization"] = {{"mode", "mxfp4"}};
     },
     "which does not fit weight"},
    {"Gptq",
     [](F& f) {
       f.config.erase("quantization");
       f.config["quantization_config"] = {{"quant_method", "gptq"}};
     },
     "'quant_method' is"},
    {"BitsOfAnotherModel",
     [](F& f) { f.config["quantization"]["bits"] = 8; },
     "which does not fit weight"},
    {"GroupSizeOfAnotherModel",
     [](F& f) { f.config["quantization"]["group_size"] = 64; },
     "which does not fit weight"},
    {"OverrideFalseOfAPackedLayer",
     [](F& f) {
       f.config["quantization"]["model.layers.0.mlp.up_proj"] = false;
     },
     "'model.layers.0.mlp.up_proj' is false, but the weights"},
    {"OverrideText",
     [](F& f) {
       f.config["quantization"]["model.layers.0.mlp.up_proj"] = "no";
     },
     "'model.layers.0.mlp.up_proj': expected a JSON object"},
    {"OverrideThatDoesNotFit",
     [](F& f) {
       f.config["quantization"]["model.layers.0.mlp.up_proj"] = {
           {"bits", 8}, {"group_size", 32}};
     },
     "'model.layers.0.mlp.up_proj.scales' is"},
};

const MalformedFolder file_cases[] = {
    {"NoWeights",
     [](F& f) {
       f.files.clear();
       f.index = nullptr;
     },
     "expected model.safetensors or model.safetensors.index.json; found "
     "'config.json'"},
    {"ShardMissing",
     [](F& f) { f.files.erase(second); },
     "'model-00002-of-00002.safetensors' is listed in "
     "model.safetensors.index.json and missing; found 'config.json'"},
    {"ShardTruncated", [](F& f) { f.files[second].pop_back(); }, "truncated?"},
    {"ShardEmpty", [](F& f) { f.files[second] = ""; }, "truncated"},
    {"ShardIsText",
     [](F& f) {
       f.files[second] = "version https://git-lfs.github.com/spec/v1\n";
     },
     "not a safetensors file?"},
    {"TensorInBothShards",
     [](F& f) { f.files[second] = f.files[first]; },
     "is in 'model-00001-of-00002.safetensors' and in"},
    {"TensorPromised",
     [](F& f) { f.index["weight_map"]["lm_head.weight"] = first; },
     "promises tensor 'lm_head.weight' in"},
    {"TensorInTheOtherShard",
     [](F& f) { f.index["weight_map"]["model.norm.weight"] = second; },
     "promises tensor 'model.norm.weight' in"},
    {"IndexWithoutMap",
     [](F& f) {
       f.index = {{"metadata", 1}};
     },
     "'weight_map' is missing or empty"},
    {"IndexMapEmpty",
     [](F& f) {
       f.index = {{"weight_map", nlohmann::json::object()}};
     },
     "'weight_map' is missing or empty"},
    {"IndexMapArray",
     [](F& f) {
       f.index = {{"weight_map", {1, 2}}};
     },
     "expected a JSON object"},
    {"IndexNumber",
     [](F& f) { f.index["weight_map"]["model.norm.weight"] = 1; },
     "expected the name of a .safetensors file"},
    {"IndexOutside",
     [](F& f) {
       f.index["weight_map"]["model.norm.weight"] = "../other.safetensors";
     },
     "expected the name of a .safetensors file in the folder"},
    {"IndexAbsolute",
     [](F& f) {
       f.index["weight_map"]["model.norm.weight"] = "/etc/x.safetensors";
     },
     "expected the name of a .safetensors file in the folder"},
    {"IndexOtherKind",
     [](F& f) { f.index["weight_map"]["model.norm.weight"] = "model.bin"; },
     "expected the name of a .safetensors file in the folder"},
};

auto by_name = [](const auto& info) { return std::string(info.param.name); };
INSTANTIATE_TEST_SUITE_P(
    Config,
    MalformedFolders,
    ::testing::ValuesIn(config_cases),
    by_name);
INSTANTIATE_TEST_SUITE_P(
    Quantization,
    MalformedFolders,
    ::testing::ValuesIn(quantization_cases),
    by_name);
INSTANTIATE_TEST_SUITE_P(
    Files,
    MalformedFolders,
    ::testing::ValuesIn(file_cases),
    by_name);

TEST(WrongPath, NamesWhatWasExpected) {
  TempFolder folder;
  auto check = [&](const std::filesystem::path& path, const char* expected) {
    expect_user_error([&] { load_model_files(path); }, expected);
    expect_user_error([&] { load_model_files(path); }, path.string());
  };
  check(folder.path() / "nothing", "no such file or folder; expected a folder");
  check(folder.path() / "x.gguf", "no such file or folder");
  check(folder.path(), "expected a config.json; the folder is empty");
  check(folder.write("a.bin", "text"), "expected a folder with config.json");
  check(folder.write("a.gguf", "GG"), "truncated");
  check(folder.path(), "expected a config.json; found 'a.bin', 'a.gguf'");
  check("/dev/null", "expected a folder with config.json");
  std::filesystem::create_directory(folder.path() / "config.json");
  check(folder.path(), "expected a regular file");
}

} // namespace
} // namespace zmlx::io::testing
