#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "zmlx/export.h"

namespace zmlx::io {

/// A JSON object with typed access. Every getter throws a UserError that names
/// the source, the key, the value found and what was expected. A key whose
/// value is null counts as missing.
class ZMLX_API Config {
 public:
  /// `source` is what errors call it, e.g. "/models/x/config.json". UserError
  /// when `json` is not an object.
  Config(nlohmann::json json, std::string source);

  const nlohmann::json& json() const {
    return json_;
  }
  const std::string& source() const {
    return source_;
  }

  bool has(const std::string& key) const;

  /// An integer in [min, max]; 7.0 is taken for 7, 7.5 and "7" are not.
  int require_int(const std::string& key, int min, int max) const;
  int optional_int(const std::string& key, int fallback, int min, int max)
      const;

  /// A finite number in [min, max].
  double require_float(const std::string& key, double min, double max) const;
  double optional_float(
      const std::string& key,
      double fallback,
      double min,
      double max) const;

  bool optional_bool(const std::string& key, bool fallback) const;

  std::string require_string(const std::string& key) const;
  std::string optional_string(
      const std::string& key,
      const std::string& fallback) const;

  /// One integer or an array of them (`eos_token_id`); empty when missing.
  std::vector<int> int_or_ints(const std::string& key, int min, int max) const;

  /// A nested object, whose errors name both keys; nothing when missing.
  std::optional<Config> object(const std::string& key) const;

 private:
  /// The value, or null when it is missing or JSON's null.
  const nlohmann::json* find(const std::string& key) const;
  const nlohmann::json& require(const std::string& key, const char* what) const;

  nlohmann::json json_;
  std::string source_;
};

/// Parses strict JSON text: UTF-8, no comments, no key twice in one object, at
/// most 64 levels deep. UserError names `source`.
ZMLX_API nlohmann::json parse_json(
    std::string_view text,
    const std::string& source);

/// Reads a whole file of at most 256 MiB and parses it with parse_json.
ZMLX_API nlohmann::json read_json(const std::filesystem::path& path);

} // namespace zmlx::io
