// Malformed tokenizer.json files and GGUF metadata: each one clear error.
#include <gtest/gtest.h>

#include "zmlx/base/errors.h"
#include "zmlx/io/config.h"
#include "zmlx/io/tokenizer.h"

namespace zmlx::io {
namespace {

using nlohmann::json;

/// The message of the UserError that `action` throws.
template <typename F>
std::string message(F action) {
  try {
    action();
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

constexpr const char* good_json = R"({
  "added_tokens": [{"id": 4, "content": "<s>", "special": true,
    "normalized": false, "lstrip": false, "rstrip": false,
    "single_word": false}],
  "normalizer": null,
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
  "post_processor": {"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
               {"Sequence": {"id": "A", "type_id": 0}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [4], "tokens": ["<s>"]}}},
  "decoder": {"type": "ByteLevel"},
  "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3},
    "merges": ["a b"]}})";

TEST(TokenizerErrors, TheGoodOneIsGood) {
  auto tokenizer = Tokenizer::from_json(good_json, "t.json");
  EXPECT_EQ(tokenizer.encode("ab ab", true), (std::vector<int>{4, 2, 3, 2}));
}

struct JsonCase {
  const char* place; // JSON pointer
  const char* value; // null removes
  const char* expected; // part of the message
};

class BadJson : public testing::TestWithParam<JsonCase> {};

TEST_P(BadJson, IsOneClearError) {
  auto [place, value, expected] = GetParam();
  auto made = json::parse(good_json);
  json::json_pointer pointer(place);
  if (value) {
    made[pointer] = json::parse(value);
  } else {
    made[pointer.parent_pointer()].erase(pointer.back());
  }
  auto text = message([&] { Tokenizer::from_json(made.dump(), "t.json"); });
  EXPECT_NE(text.find(expected), std::string::npos) << text;
  EXPECT_NE(text.find("t.json"), std::string::npos) << text;
}

INSTANTIATE_TEST_SUITE_P(
    Tokenizer,
    BadJson,
    testing::Values(
        JsonCase{"/model", nullptr, "expected an object 'model'"},
        JsonCase{"/model", "[]", "model"},
        JsonCase{"/model/type", "\"Unigram\"", "'Unigram'"},
        JsonCase{"/model/type", "7", "type"},
        JsonCase{"/model/vocab", nullptr, "'vocab'"},
        JsonCase{"/model/vocab", "{}", "'vocab'"},
        JsonCase{"/model/vocab", "[\"a\"]", "'vocab'"},
        JsonCase{"/model/vocab/a", "1", "id 1 belongs to both"},
        JsonCase{"/model/vocab/a", "-1", "expected an integer in [0,"},
        JsonCase{"/model/vocab/a", "1.5", "expected an integer in [0,"},
        JsonCase{"/model/vocab/a", "\"0\"", "expected an integer in [0,"},
        JsonCase{"/model/vocab/a", "4294967296", "expected an integer in [0,"},
        JsonCase{"/model/merges", nullptr, "'merges'"},
        JsonCase{"/model/merges", "{}", "'merges'"},
        JsonCase{"/model/merges", "[\"a c\"]", "needs the token 'c'"},
        JsonCase{"/model/merges", "[\"b a\"]", "needs the token 'ba'"},
        JsonCase{"/model/merges", "[\"ab\"]", "expected two tokens"},
        JsonCase{"/model/merges", "[\"a b c\"]", "expected two tokens"},
        JsonCase{"/model/merges", "[[\"a\", \"b\", \"c\"]]", "two tokens"},
        JsonCase{"/model/merges", "[[\"a\", 1]]", "expected two tokens"},
        JsonCase{"/model/merges", "[1]", "expected two tokens"},
        JsonCase{"/model/dropout", "0.1", "dropout"},
        JsonCase{"/model/unk_token", "\"<unk>\"", "'<unk>'"},
        JsonCase{"/model/end_of_word_suffix", "\"</w>\"", "end_of_word_suffix"},
        JsonCase{"/model/ignore_merges", "1", "ignore_merges"},
        JsonCase{"/added_tokens", "{}", "added_tokens"},
        JsonCase{"/added_tokens/0", "4", "added_tokens"},
        JsonCase{"/added_tokens/0/id", "-4", "'id'"},
        JsonCase{"/added_tokens/0/id", "2", "'ab' there"},
        JsonCase{"/added_tokens/0/content", "\"a\"", "that token with id 0"},
        JsonCase{"/added_tokens/0/content", "\"\"", "has 0 bytes"},
        JsonCase{"/added_tokens/0/content", nullptr, "'content'"},
        JsonCase{"/normalizer", R"({"type": "Nmt"})", "'Nmt'"},
        JsonCase{"/normalizer", R"({"type": "Sequence"})", "normalizers"},
        JsonCase{"/normalizer", R"({"type": "Replace"})", "'pattern'"},
        JsonCase{"/pre_tokenizer", R"({"type": "Metaspace"})", "'Metaspace'"},
        JsonCase{"/pre_tokenizer", "{}", "type"},
        JsonCase{
            "/pre_tokenizer",
            R"({"type": "Split", "behavior": "Isolated",
                "pattern": {"Regex": "(a"}})",
            "is not understood"},
        JsonCase{
            "/pre_tokenizer",
            R"({"type": "Split", "behavior": "Isolated",
                "pattern": {"Regex": "\\bword"}})",
            "\\b at byte 0"},
        JsonCase{
            "/pre_tokenizer",
            R"({"type": "Split", "behavior": "Isolated",
                "pattern": {"Regex": "[a&&b]"}})",
            "&& at byte 2"},
        JsonCase{
            "/pre_tokenizer",
            R"({"type": "Split", "behavior": "Isolated",
                "pattern": {"String": ""}})",
            "the pattern is empty"},
        JsonCase{
            "/pre_tokenizer",
            R"({"type": "Split", "behavior": "Odd",
                "pattern": {"String": "x"}})",
            "'Odd'"},
        JsonCase{
            "/pre_tokenizer",
            R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"},
                {"type": "Digits"}]})",
            "after ByteLevel"},
        JsonCase{"/post_processor/type", "\"Bert\"", "'Bert'"},
        JsonCase{"/post_processor/single", "[]", "has no Sequence"},
        JsonCase{"/post_processor/special_tokens", "{}", "'<s>'"},
        JsonCase{
            "/post_processor/special_tokens/<s>/ids",
            "[99]",
            "special token id 99"},
        JsonCase{"/decoder", nullptr, "'decoder'"},
        JsonCase{"/decoder", R"({"type": "WordPiece"})", "'WordPiece'"}));

TEST(TokenizerErrors, WhatIsNoJson) {
  for (const char* text : {"", "{", "[]", "null", "\xFF", "{\"model\": {}}"}) {
    auto error = message([&] { Tokenizer::from_json(text, "t.json"); });
    EXPECT_TRUE(error.starts_with("t.json")) << error;
  }
}

TEST(TokenizerErrors, AddedTokenTooLong) {
  auto made = json::parse(good_json);
  made["added_tokens"][0]["content"] = std::string(1025, 'x');
  auto error = message([&] { Tokenizer::from_json(made.dump(), "t.json"); });
  EXPECT_NE(error.find("1025 bytes"), std::string::npos) << error;
}

GgufMetadata good_gguf() {
  using Strings = std::vector<std::string>;
  return {
      {"tokenizer.ggml.model", std::string("gpt2")},
      {"tokenizer.ggml.pre", std::string("smollm")},
      {"tokenizer.ggml.tokens", Strings{"a", "b", "ab", "Ġ", "<s>"}},
      {"tokenizer.ggml.token_type", std::vector<int64_t>{1, 1, 1, 1, 3}},
      {"tokenizer.ggml.merges", Strings{"a b"}},
      {"tokenizer.ggml.bos_token_id", int64_t{4}},
      {"tokenizer.ggml.eos_token_id", int64_t{4}},
      {"tokenizer.ggml.add_bos_token", true}};
}

TEST(TokenizerErrors, TheGoodGgufIsGood) {
  auto tokenizer = Tokenizer::from_gguf(good_gguf());
  EXPECT_EQ(
      tokenizer.encode("ab ab<s>", true), (std::vector<int>{4, 2, 3, 2, 4}));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("ab ab", true), true), "ab ab");
}

// A file names one token that ends a text; turns of its chats end with another.
TEST(TokenizerGguf, EndsOfTurnsEndTexts) {
  using Strings = std::vector<std::string>;
  for (const std::string end :
       {"<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>"}) {
    auto metadata = good_gguf();
    metadata["tokenizer.ggml.tokens"] =
        Strings{"a", "b", "ab", "Ġ", "<s>", end, "<|start|>"};
    auto& types = metadata["tokenizer.ggml.token_type"];
    types = std::vector<int64_t>{1, 1, 1, 1, 3, 3, 3};
    const std::vector<int> both = {4, 5};
    EXPECT_EQ(Tokenizer::from_gguf(metadata).eos_ids(), both) << end;
    types = std::vector<int64_t>{1, 1, 1, 1, 3, 4, 3}; // the user's
    EXPECT_EQ(Tokenizer::from_gguf(metadata).eos_ids(), both) << end;
    types = std::vector<int64_t>{1, 1, 1, 1, 3, 1, 3}; // of ordinary text
    EXPECT_EQ(Tokenizer::from_gguf(metadata).eos_ids(), std::vector<int>{4});
    types = std::vector<int64_t>{1, 1, 1, 1, 3, 3, 3};
    metadata["tokenizer.ggml.eos_token_id"] = int64_t{5};
    EXPECT_EQ(Tokenizer::from_gguf(metadata).eos_ids(), std::vector<int>{5});
  }
}

TEST(TokenizerErrors, BadGguf) {
  using Strings = std::vector<std::string>;
  using Integers = std::vector<int64_t>;
  struct Case {
    const char* key;
    std::optional<GgufValue> value; // nothing removes the key
    const char* expected;
  };
  const Case cases[] = {
      {"model", {}, "is missing"},
      {"model", std::string("llama"), "'llama'"},
      {"model", int64_t{1}, "expected"},
      {"pre", std::string("tekken"), "'tekken'"},
      {"tokens", {}, "is missing"},
      {"tokens", Strings{}, "0 tokens"},
      {"tokens", Integers{1}, "expected"},
      {"tokens", Strings{"a", "b", "ab", "a", "<s>"}, "has both id 0 and id 3"},
      {"merges", {}, "is missing"},
      {"merges", Strings{"a c"}, "needs the token 'c'"},
      {"merges", Strings{"ab"}, "merge 0"},
      {"merges", Strings{"a b c"}, "merge 0"},
      {"token_type", Integers{1, 1}, "2 values for 5 tokens"},
      {"token_type", Integers{1, 1, 1, 1, 99}, "token 4 has type 99"},
      {"token_type", Strings{"a"}, "expected"},
      {"bos_token_id", int64_t{5}, "bos_token_id is 5"},
      {"eos_token_id", int64_t{-1}, "eos_token_id is -1"},
      {"add_bos_token", int64_t{1}, "expected"},
      {"tokens", Strings{"a", "b", "ab", "Ġ", "\xFF"}, "is not UTF-8"}};
  for (const auto& c : cases) {
    auto metadata = good_gguf();
    auto key = std::string("tokenizer.ggml.") + c.key;
    metadata.erase(key);
    if (c.value) {
      metadata.emplace(key, *c.value);
    }
    auto error = message([&] { Tokenizer::from_gguf(metadata); });
    EXPECT_NE(error.find(c.expected), std::string::npos) << error;
    EXPECT_NE(error.find("GGUF metadata"), std::string::npos) << error;
  }
}

} // namespace
} // namespace zmlx::io
