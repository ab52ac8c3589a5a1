#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "zmlx/export.h"
#include "zmlx/io/gguf.h"

namespace zmlx::io {

struct ChatMessage {
  std::string role; // "system", "user", "assistant"
  std::string content;
};

/// A chat template: Jinja as Hugging Face renders it (trim_blocks,
/// lstrip_blocks). Jinja is not run; the template is parsed, and understood
/// when it has the shape of ChatML:
///
///   one loop over the messages that writes literals, the role and the content
///   of each, perhaps a default system message before a first message that is
///   not one, and then `{% if add_generation_prompt %}` a literal `{% endif %}`
///
/// Every other template is refused, since a wrong prompt shows in nothing but
/// worse answers.
class ZMLX_API ChatTemplate {
 public:
  /// `source` is what errors call the template. UserError when it is not
  /// understood, naming the place and --ignore-chat-template.
  static ChatTemplate parse(std::string_view jinja, const std::string& source);

  /// From chat_template.jinja or tokenizer_config.json of a folder, or from the
  /// metadata of a .gguf file; nothing when the model has no template.
  static std::optional<ChatTemplate> load(const std::filesystem::path& path);
  static std::optional<ChatTemplate> from_gguf(const GgufMetadata& metadata);

  /// The prompt of a conversation. Text that spells special tokens is not
  /// escaped, as it is not in Jinja: encode with add_special false.
  std::string render(
      const std::vector<ChatMessage>& messages,
      bool add_generation_prompt) const;

 private:
  friend class ChatTemplateParser;

  enum class Field { none, role, content, trimmed_content };
  /// A literal, then perhaps a field of the message.
  struct Piece {
    std::string text;
    Field field = Field::none;
  };

  std::string before_; // all messages
  std::string default_system_; // before a first message that is no system's
  std::vector<Piece> message_;
  std::string after_; // all messages
  std::string generation_prompt_;
};

} // namespace zmlx::io
