// Chat templates against what Jinja2 renders (tests/data/chat_templates.json,
// written by tools/chat_template_fixtures.py).
#include "zmlx/io/chat_template.h"

#include <fstream>

#include <unistd.h>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"
#include "zmlx/io/config.h"

namespace zmlx::io {
namespace {

const std::filesystem::path root = ZMLX_SOURCE_DIR;

TEST(ChatTemplate, RendersAsJinja) {
  auto data = read_json(root / "tests/data/chat_templates.json");
  int checked = 0;
  for (const auto& entry : data) {
    auto name = entry["name"].get<std::string>();
    auto chat = ChatTemplate::parse(entry["template"].get<std::string>(), name);
    for (const auto& example : entry["cases"]) {
      std::vector<ChatMessage> messages;
      for (const auto& m : example["messages"]) {
        messages.push_back({m["role"], m["content"]});
      }
      EXPECT_EQ(
          chat.render(messages, example["prompt"].get<bool>()), example["text"])
          << name;
      ++checked;
    }
  }
  EXPECT_EQ(checked, 70);
}

TEST(ChatTemplate, SmolLM2HasADefaultSystemMessage) {
  auto path = root / "models/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(path)) {
    GTEST_SKIP() << path << " is not here; ./demo.sh fetches it";
  }
  auto chat = ChatTemplate::load(path);
  ASSERT_TRUE(chat);
  EXPECT_EQ(
      chat->render({{"user", "Hi"}}, true),
      "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained "
      "by Hugging Face<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
      "<|im_start|>assistant\n");
}

TEST(ChatTemplate, OthersAreRefusedWithTheWayOut) {
  const std::string loop = "{% for m in messages %}{{ m.content }}{% endfor %}";
  const std::string bad[] = {
      "",
      "plain text",
      "{{ messages[0].content }}",
      "{% for m in messages %}{{ m.role }}{% endfor %}",
      "{% for m in messages %}{{ m.content }}",
      "{% for m in messages[1:] %}{{ m.content }}{% endfor %}",
      "{% for m in messages %}{{ m.content | upper }}{% endfor %}",
      "{% for m in messages %}{{ m.role + m.name + m.content }}{% endfor %}",
      "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}"
      "{% endif %}{% endfor %}",
      "{{ bos_token }}" + loop,
      loop + "{% if add_generation_prompt and tools %}x{% endif %}",
      loop + "{% if add_generation_prompt %}x",
      loop + "{% if add_generation_prompt %}x{% endif %}" + loop,
      loop + "{{ 'a' + }}",
      loop + "{{ 'a",
      loop + "{{ 'a\\x41' }}",
      loop + "{{ $ }}",
      loop + "{# no end",
      loop + "{% if",
      "{% set ns = namespace(x=1) %}" + loop};
  for (const auto& text : bad) {
    try {
      ChatTemplate::parse(text, "here");
      ADD_FAILURE() << text;
    } catch (const UserError& error) {
      std::string message = error.what();
      EXPECT_TRUE(message.starts_with("here: ")) << message;
      EXPECT_NE(message.find("--ignore-chat-template"), std::string::npos)
          << message;
    }
  }
}

TEST(ChatTemplate, AFolderMayHaveItInThreePlaces) {
  auto folder = std::filesystem::temp_directory_path() /
      ("zmlx_chat_template_test_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  auto write = [&](const char* name, const std::string& text) {
    std::ofstream(folder / name) << text;
  };
  auto rendered = [&] {
    return ChatTemplate::load(folder)->render({{"user", "x"}}, false);
  };
  EXPECT_FALSE(ChatTemplate::load(folder));
  write("tokenizer_config.json", "{}");
  EXPECT_FALSE(ChatTemplate::load(folder));
  const std::string loop = "{% for m in messages %}{{ m.content }}{% endfor %}";
  write(
      "tokenizer_config.json",
      R"({"chat_template": [{"name": "tools", "template": "?"},
          {"name": "default", "template": "1)" +
          loop + "\"}]}");
  EXPECT_EQ(rendered(), "1x");
  write("tokenizer_config.json", R"({"chat_template": "2)" + loop + "\"}");
  EXPECT_EQ(rendered(), "2x");
  write("tokenizer_config.json", R"({"chat_template": 7})");
  EXPECT_THROW(ChatTemplate::load(folder), UserError);
  write("tokenizer_config.json", R"({"chat_template": []})");
  EXPECT_THROW(ChatTemplate::load(folder), UserError);
  write("chat_template.jinja", "3" + loop);
  EXPECT_EQ(rendered(), "3x");
  std::filesystem::remove_all(folder);
}

} // namespace
} // namespace zmlx::io
