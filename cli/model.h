#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "zmlx/io/chat_template.h"
#include "zmlx/io/tokenizer.h"
#include "zmlx/nn/decoder.h"

namespace zmlx::cli {

/// A model that can be talked to.
struct LoadedModel {
  std::shared_ptr<const nn::Model> model;
  io::Tokenizer tokenizer;
};

/// The tokenizer of a folder or a .gguf file; UserError when `path` is neither.
/// It is small: what can be refused with it alone is, before the weights.
io::Tokenizer load_tokenizer(const std::filesystem::path& path);

/// The weights, with progress on stderr where that is a terminal. Throws
/// Interrupted after a Ctrl-C.
std::shared_ptr<const nn::Model> load_weights(
    const std::filesystem::path& path);

/// Both.
LoadedModel load_model(const std::filesystem::path& path);

/// Text for the model, before it is tokens.
struct Prompt {
  std::string text; // of the user
  std::optional<std::string> system;
  bool ignore_chat_template = false;
};

/// The tokens of a prompt: through the model's chat template where it has one
/// and it is not to be ignored. UserError when the text is empty, or when there
/// is a system prompt and no template to put it in.
std::vector<int> encode_prompt(
    const Prompt& prompt,
    const io::Tokenizer& tokenizer,
    const std::filesystem::path& path);

} // namespace zmlx::cli
