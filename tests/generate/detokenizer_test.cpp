#include "zmlx/generate/detokenizer.h"

#include <random>

#include <gtest/gtest.h>

#include "zmlx/io/config.h"
#include "zmlx/io/unicode.h"

namespace zmlx::generate {
namespace {

using nlohmann::json;

/// The tokenizer named `name` of tests/data/tokenizers.json.
io::Tokenizer variant(const std::string& name) {
  static const json data = io::read_json(
      std::filesystem::path(ZMLX_SOURCE_DIR) / "tests/data/tokenizers.json");
  for (const auto& entry : data["variants"]) {
    if (entry["name"] == name) {
      json made = entry["tokenizer"];
      if (!made["model"].contains("vocab")) {
        made["model"].update(data["shared"]);
      }
      return io::Tokenizer::from_json(made.dump(), name);
    }
  }
  throw std::runtime_error("no tokenizer " + name);
}

/// All that comes out for ids, each piece checked to be UTF-8.
std::string streamed(
    const io::Tokenizer& tokenizer,
    const std::vector<int>& ids,
    bool skip_special) {
  Detokenizer text(tokenizer, skip_special);
  std::string all;
  auto take = [&](const std::string& piece) {
    EXPECT_EQ(io::find_invalid_utf8(piece), std::string::npos);
    all += piece;
  };
  for (int id : ids) {
    take(text.add(id));
  }
  take(text.flush());
  EXPECT_EQ(text.flush(), "");
  return all;
}

TEST(Detokenizer, HoldsACharacterBackUntilItIsWhole) {
  auto tokenizer = variant("byte fallback");
  auto byte = [&](const char* token) { return *tokenizer.id_of(token); };
  Detokenizer text(tokenizer);
  EXPECT_EQ(text.add(byte("<0xF0>")), "");
  EXPECT_EQ(text.add(byte("<0x9F>")), "");
  EXPECT_EQ(text.add(byte("<0x98>")), "");
  EXPECT_EQ(text.add(byte("<0x80>")), "\xF0\x9F\x98\x80");
  EXPECT_EQ(text.add(byte("<0xE2>")), "");
  EXPECT_EQ(text.add(byte("x")), "\xEF\xBF\xBDx");
  EXPECT_EQ(text.add(byte("<0xFF>")), "\xEF\xBF\xBD");
  EXPECT_EQ(text.add(byte("<0xE2>")), "");
  EXPECT_EQ(text.add(byte("<0x82>")), "");
  EXPECT_EQ(text.flush(), "\xEF\xBF\xBD");
  EXPECT_EQ(text.add(1 << 20), "");
}

TEST(Detokenizer, DropsTheSpaceThatEncodingAdded) {
  auto tokenizer = variant("byte fallback");
  auto ids = tokenizer.encode(" the the", false);
  EXPECT_EQ(streamed(tokenizer, ids, true), " the the");
}

TEST(Detokenizer, SaysWhatDecodeSays) {
  std::mt19937 random(5);
  for (const char* name : {"gpt2", "byte fallback", "added tokens"}) {
    auto tokenizer = variant(name);
    std::uniform_int_distribution<int> any_id(-1, tokenizer.vocab_size());
    std::uniform_int_distribution<int> any_length(0, 40);
    for (int i = 0; i < 2000; ++i) {
      std::vector<int> ids(any_length(random));
      for (auto& id : ids) {
        id = any_id(random);
      }
      for (bool skip_special : {false, true}) {
        EXPECT_EQ(
            streamed(tokenizer, ids, skip_special),
            tokenizer.decode(ids, skip_special));
      }
    }
  }
}

} // namespace
} // namespace zmlx::generate
