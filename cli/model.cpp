#include "cli/model.h"

#include "cli/interrupt.h"
#include "cli/progress.h"
#include "zmlx/base/errors.h"
#include "zmlx/io/gguf.h"
#include "zmlx/models/load.h"

namespace zmlx::cli {

io::Tokenizer load_tokenizer(const std::filesystem::path& path) {
  constexpr auto expected =
      "expected a folder with config.json and safetensors, or a .gguf file";
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    throw user_error("{}: {}; {}", path.string(), error.message(), expected);
  }
  const bool folder = std::filesystem::is_directory(status);
  if (folder ? !std::filesystem::exists(path / "config.json", error)
             : !io::is_gguf(path)) {
    throw user_error(
        "{}: {}; {}",
        path.string(),
        folder ? "a folder without config.json" : "not a .gguf file",
        expected);
  }
  return io::Tokenizer::load(path);
}

std::shared_ptr<const nn::Model> load_weights(
    const std::filesystem::path& path) {
  Progress progress;
  io::LoadOptions options;
  options.progress =
      [&](const std::string& item, uint64_t done, uint64_t total) {
        check_interrupted();
        progress.update(item, done, total);
      };
  return models::load(path, options);
}

LoadedModel load_model(const std::filesystem::path& path) {
  auto tokenizer = load_tokenizer(path);
  return {load_weights(path), std::move(tokenizer)};
}

std::vector<int> encode_prompt(
    const Prompt& prompt,
    const io::Tokenizer& tokenizer,
    const std::filesystem::path& path) {
  if (prompt.text.empty()) {
    throw user_error("the prompt is empty: expected some text");
  }
  std::optional<io::ChatTemplate> chat;
  if (!prompt.ignore_chat_template) {
    chat = io::ChatTemplate::load(path);
  }
  if (!chat) {
    if (prompt.system) {
      throw user_error(
          "--system-prompt needs a chat template, and {}",
          prompt.ignore_chat_template
              ? "--ignore-chat-template says to use none"
              : path.string() + " has none");
    }
    return tokenizer.encode(prompt.text, /* add_special = */ true);
  }
  std::vector<io::ChatMessage> messages;
  if (prompt.system) {
    messages.push_back({"system", *prompt.system});
  }
  messages.push_back({"user", prompt.text});
  const auto text = chat->render(messages, /* add_generation_prompt = */ true);
  return tokenizer.encode(text, /* add_special = */ false);
}

} // namespace zmlx::cli
