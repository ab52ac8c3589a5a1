#include <unordered_set>

#include "zmlx/base/errors.h"
#include "zmlx/io/config.h"
#include "zmlx/io/file_reader.h"
#include "zmlx/io/quote.h"

namespace zmlx::io {

namespace {

using nlohmann::json;

constexpr int max_depth = 64;
constexpr uint64_t max_json_bytes = uint64_t{1} << 28;

/// Refuses what nlohmann accepts silently: a key twice in one object (the last
/// one would win) and any depth of nesting.
class StrictKeys {
 public:
  explicit StrictKeys(const std::string& source) : source_(source) {}

  bool operator()(int depth, json::parse_event_t event, json& parsed) {
    if (depth > max_depth) {
      throw user_error(
          "{}: JSON is nested deeper than {} levels", source_, max_depth);
    }
    if (event == json::parse_event_t::object_start) {
      keys_.emplace_back();
    } else if (event == json::parse_event_t::object_end) {
      keys_.pop_back();
    } else if (event == json::parse_event_t::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys_.back().insert(key).second) {
        throw user_error("{}: duplicate JSON key {}", source_, quote(key));
      }
    }
    return true;
  }

 private:
  const std::string& source_;
  std::vector<std::unordered_set<std::string>> keys_;
};

/// nlohmann's text without its "[json.exception.parse_error.101] ".
std::string reason(const json::exception& error) {
  std::string_view text = error.what();
  if (auto end = text.find("] "); end != text.npos) {
    text.remove_prefix(end + 2);
  }
  std::string out;
  for (unsigned char c : text.substr(0, 200)) {
    out += c >= 0x20 && c < 0x7f ? static_cast<char>(c) : '?';
  }
  return out;
}

} // namespace

json parse_json(std::string_view text, const std::string& source) {
  try {
    return json::parse(text.begin(), text.end(), StrictKeys(source));
  } catch (const json::exception& error) {
    throw user_error("{}: not valid JSON: {}", source, reason(error));
  }
}

json read_json(const std::filesystem::path& path) {
  FileReader file(path);
  if (file.size() > max_json_bytes) {
    throw user_error(
        "{}: {} bytes is too large for a JSON file, expected at most {}",
        file.name(),
        file.size(),
        max_json_bytes);
  }
  return parse_json(file.read_string(file.size(), "the text"), file.name());
}

} // namespace zmlx::io
