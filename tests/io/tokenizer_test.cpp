// The tokenizer against what Hugging Face's `tokenizers` made of the same texts
// (tests/data, written by tools/tokenizer_fixtures.py and
// tools/tokenizer_oracle.py), and against texts that could take forever.
#include "zmlx/io/tokenizer.h"

#include <fstream>

#include <unistd.h>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"
#include "zmlx/io/config.h"

namespace zmlx::io {
namespace {

using nlohmann::json;

const std::filesystem::path root = ZMLX_SOURCE_DIR;
const auto smollm2 = root / "models/SmolLM2-135M-Instruct.Q4_1.gguf";

/// A small tokenizer of bytes; `change` edits its tokenizer.json.
template <typename F>
Tokenizer small(F change) {
  static const json data = read_json(root / "tests/data/tokenizers.json");
  json made = data["variants"][0]["tokenizer"];
  made["model"].update(data["shared"]);
  change(made);
  return Tokenizer::from_json(made.dump(), "test");
}

Tokenizer small() {
  return small([](json&) {});
}

TEST(Tokenizer, SmallVariantsEncodeAndDecodeAsHuggingFace) {
  auto data = read_json(root / "tests/data/tokenizers.json");
  int checked = 0;
  for (auto& variant : data["variants"]) {
    auto& model = variant["tokenizer"]["model"];
    if (!model.contains("vocab")) {
      model.update(data["shared"]);
    }
    auto name = variant["name"].get<std::string>();
    auto tokenizer = Tokenizer::from_json(variant["tokenizer"].dump(), name);
    for (const auto& example : variant["cases"]) {
      auto text = example["text"].get<std::string>();
      auto ids = example["ids"].get<std::vector<int>>();
      EXPECT_EQ(tokenizer.encode(text, true), ids) << name << ": " << text;
      // An added token decodes to its content here, to its normalized content,
      // or to what its letters mean as bytes, there.
      if (name != "added tokens") {
        EXPECT_EQ(tokenizer.decode(ids, false), example["decoded"])
            << name << ": " << text;
      }
      ++checked;
    }
  }
  EXPECT_GT(checked, 1000);
}

TEST(Tokenizer, SmolLM2EncodesAsHuggingFace) {
  if (!std::filesystem::exists(smollm2)) {
    GTEST_SKIP() << smollm2 << " is not here; ./demo.sh fetches it";
  }
  auto tokenizer = Tokenizer::load(smollm2);
  std::ifstream lines(root / "tests/data/tokenizer_smollm2.jsonl");
  int checked = 0;
  for (std::string line; std::getline(lines, line); ++checked) {
    auto example = json::parse(line);
    auto text = example["text"].get<std::string>();
    EXPECT_EQ(tokenizer.encode(text, true), example["ids"]) << text;
  }
  EXPECT_EQ(checked, 400);
  EXPECT_EQ(tokenizer.vocab_size(), 49152);
  EXPECT_EQ(tokenizer.eos_ids(), std::vector<int>{2});
  EXPECT_EQ(tokenizer.bos_id(), 1);
  EXPECT_EQ(tokenizer.id_of("<|im_end|>"), 2);
  EXPECT_TRUE(tokenizer.is_special(2));
  EXPECT_EQ(
      tokenizer.encode("<|im_start|>user\nHi 42<|im_end|>", true),
      (std::vector<int>{1, 4093, 198, 26843, 216, 36, 34, 2}));
}

TEST(Tokenizer, TokensAreBytesAndSpecialOnesCanBeLeftOut) {
  auto tokenizer = small();
  auto ids = tokenizer.encode("<|im_start|>\xE2\x82\xAC x<|im_end|>", true);
  EXPECT_EQ(tokenizer.decode(ids, true), "\xE2\x82\xAC x");
  EXPECT_EQ(
      tokenizer.decode(ids, false), "<|im_start|>\xE2\x82\xAC x<|im_end|>");
  std::string bytes;
  for (int id : ids) {
    bytes += tokenizer.token_bytes(id);
  }
  EXPECT_EQ(bytes, "<|im_start|>\xE2\x82\xAC x<|im_end|>");
  EXPECT_EQ(tokenizer.token_bytes(-1), "");
  EXPECT_EQ(tokenizer.token_bytes(1 << 30), "");
  EXPECT_EQ(tokenizer.id_of("no such token"), std::nullopt);
}

TEST(Tokenizer, BrokenBytesDecodeToReplacementCharacters) {
  auto tokenizer = small();
  int lead = tokenizer.id_of("\u00E2").value(); // spells the byte 0xE2
  int letter = tokenizer.id_of("x").value();
  EXPECT_EQ(
      tokenizer.decode(std::vector{lead, letter, lead}, true),
      "\xEF\xBF\xBDx\xEF\xBF\xBD");
}

TEST(Tokenizer, TextThatIsNotUtf8IsRefusedWithItsPlace) {
  auto tokenizer = small();
  for (auto [text, place] :
       std::initializer_list<std::pair<std::string, const char*>>{
           {"ab\xFF", "byte 2 of 3 is 0xFF"},
           {"\xC0\x80", "byte 0 of 2 is 0xC0"},
           {"a\xE2\x82", "byte 1 of 3 is 0xE2"},
           {"\xED\xA0\x80", "byte 0 of 3 is 0xED"},
           {"x\xF4\x90\x80\x80", "byte 1 of 5 is 0xF4"}}) {
    try {
      tokenizer.encode(text, true);
      ADD_FAILURE() << place;
    } catch (const UserError& error) {
      EXPECT_NE(std::string(error.what()).find(place), std::string::npos)
          << error.what();
    }
  }
}

std::string repeated(std::string_view unit, size_t bytes) {
  std::string text;
  while (text.size() < bytes) {
    text += unit;
  }
  return text;
}

TEST(Tokenizer, LongTextsAndWordsComeBack) {
  auto qwen = small([](json& j) {
    j["normalizer"] = {{"type", "NFC"}};
    j["pre_tokenizer"] = json::parse(R"({"type": "Sequence", "pretokenizers": [
      {"type": "Split", "behavior": "Isolated", "invert": false, "pattern":
       {"Regex": "(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
      {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]})");
  });
  auto gpt2 = small();
  for (const auto& tokenizer : {gpt2, qwen}) {
    for (std::string_view unit :
         {"a",
          "the ",
          " ",
          "\n",
          " \n",
          "0",
          "'",
          "<|im_start|>",
          "<|im_",
          "\xE2\x82\xAC",
          "ab\xCC\x81"}) {
      auto text = repeated(unit, 1'000'000) + "x";
      auto ids = tokenizer.encode(text, true);
      auto back = tokenizer.decode(ids, false);
      if (unit != "ab\xCC\x81") { // which NFC changes
        EXPECT_TRUE(back == text) << unit;
      }
    }
  }
}

/// A million combining marks out of order: normalizing them must not be
/// quadratic.
TEST(Tokenizer, LongRunsOfMarksAreNormalized) {
  auto tokenizer = small([](json& j) { j["normalizer"] = {{"type", "NFC"}}; });
  auto text = "a" + repeated("\xCC\x81\xCC\xA3", 1'000'000);
  auto back = tokenizer.decode(tokenizer.encode(text, true), false);
  EXPECT_TRUE(back.starts_with("\xE1\xBA\xA1\xCC\xA3")); // a with dot below
  EXPECT_TRUE(back.ends_with("\xCC\x81\xCC\x81"));
}

TEST(Tokenizer, PatternThatNeverEndsIsAnError) {
  auto tokenizer = small([](json& j) {
    j["pre_tokenizer"] = json::parse(R"({"type": "Split", "invert": false,
      "behavior": "Isolated", "pattern": {"Regex": "(a|aa)+$"}})");
  });
  auto text = repeated("a", 400) + "b";
  try {
    tokenizer.encode(text, true);
    ADD_FAILURE() << "expected an error";
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("gave up"), std::string::npos)
        << error.what();
  }
}

TEST(Tokenizer, FolderSaysWhatEndsAText) {
  auto folder = std::filesystem::temp_directory_path() /
      ("zmlx_tokenizer_test_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  auto write = [&](const char* name, const std::string& text) {
    std::ofstream(folder / name) << text;
  };
  json data = read_json(root / "tests/data/tokenizers.json");
  json made = data["variants"][0]["tokenizer"];
  made["model"].update(data["shared"]);
  write("tokenizer.json", made.dump());
  EXPECT_TRUE(Tokenizer::load(folder).eos_ids().empty());
  write(
      "tokenizer_config.json",
      R"({"eos_token": {"content": "<|im_end|>"}, "bos_token": "<|im_start|>"})");
  auto from_tokenizer_config = Tokenizer::load(folder);
  EXPECT_EQ(from_tokenizer_config.eos_ids(), std::vector<int>{2});
  EXPECT_EQ(from_tokenizer_config.bos_id(), 1);
  write("config.json", R"({"eos_token_id": 0, "bos_token_id": null})");
  EXPECT_EQ(Tokenizer::load(folder).eos_ids(), std::vector<int>{0});
  write("generation_config.json", R"({"eos_token_id": [2, 0]})");
  EXPECT_EQ(Tokenizer::load(folder).eos_ids(), (std::vector<int>{2, 0}));
  write("generation_config.json", R"({"eos_token_id": 700000})");
  EXPECT_THROW(Tokenizer::load(folder), UserError);
  std::filesystem::remove_all(folder);
  EXPECT_THROW(Tokenizer::load(folder), UserError);
}

} // namespace
} // namespace zmlx::io
