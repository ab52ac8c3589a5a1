#include "zmlx/io/config.h"

#include <cmath>

#include "zmlx/base/errors.h"
#include "zmlx/io/quote.h"

namespace zmlx::io {

using nlohmann::json;

namespace {

/// A value as messages show it: short, printable.
std::string shown(const json& value) {
  auto text = value.dump(
      -1, ' ', /* ensure_ascii */ true, json::error_handler_t::replace);
  if (text.size() > 60) {
    text = text.substr(0, 60) + "...";
  }
  return text;
}

std::optional<int64_t> as_integer(const json& value) {
  if (value.is_number_unsigned()) {
    auto number = value.get<uint64_t>();
    // One past the largest int is as far out of range as any other.
    return number > INT64_MAX ? INT64_MAX : static_cast<int64_t>(number);
  }
  if (value.is_number_integer()) {
    return value.get<int64_t>();
  }
  if (value.is_number_float()) {
    auto number = value.get<double>();
    if (std::trunc(number) == number && std::abs(number) < 0x1p62) {
      return static_cast<int64_t>(number);
    }
  }
  return std::nullopt;
}

int checked_int(
    const Config& config,
    const std::string& key,
    const json& value,
    int min,
    int max) {
  auto number = as_integer(value);
  if (!number || *number < min || *number > max) {
    throw user_error(
        "{}: {} is {}, expected an integer in [{}, {}]",
        config.source(),
        quote(key),
        shown(value),
        min,
        max);
  }
  return static_cast<int>(*number);
}

} // namespace

Config::Config(nlohmann::json json, std::string source)
    : json_(std::move(json)), source_(std::move(source)) {
  if (!json_.is_object()) {
    throw user_error(
        "{}: expected a JSON object, got {}", source_, shown(json_));
  }
}

const json* Config::find(const std::string& key) const {
  auto it = json_.find(key);
  return it == json_.end() || it->is_null() ? nullptr : &*it;
}

const json& Config::require(const std::string& key, const char* what) const {
  auto* value = find(key);
  if (!value) {
    throw user_error(
        "{}: {} is missing, expected {}", source_, quote(key), what);
  }
  return *value;
}

bool Config::has(const std::string& key) const {
  return find(key) != nullptr;
}

int Config::require_int(const std::string& key, int min, int max) const {
  return checked_int(*this, key, require(key, "an integer"), min, max);
}

int Config::optional_int(const std::string& key, int fallback, int min, int max)
    const {
  auto* value = find(key);
  return value ? checked_int(*this, key, *value, min, max) : fallback;
}

double Config::require_float(const std::string& key, double min, double max)
    const {
  const auto& value = require(key, "a number");
  auto number = value.is_number() ? value.get<double>() : NAN;
  if (!(number >= min && number <= max)) {
    throw user_error(
        "{}: {} is {}, expected a number in [{}, {}]",
        source_,
        quote(key),
        shown(value),
        min,
        max);
  }
  return number;
}

double Config::optional_float(
    const std::string& key,
    double fallback,
    double min,
    double max) const {
  return has(key) ? require_float(key, min, max) : fallback;
}

bool Config::optional_bool(const std::string& key, bool fallback) const {
  auto* value = find(key);
  if (!value) {
    return fallback;
  }
  if (!value->is_boolean()) {
    throw user_error(
        "{}: {} is {}, expected true or false",
        source_,
        quote(key),
        shown(*value));
  }
  return value->get<bool>();
}

std::string Config::require_string(const std::string& key) const {
  const auto& value = require(key, "a string");
  if (!value.is_string()) {
    throw user_error(
        "{}: {} is {}, expected a string", source_, quote(key), shown(value));
  }
  return value.get<std::string>();
}

std::string Config::optional_string(
    const std::string& key,
    const std::string& fallback) const {
  return has(key) ? require_string(key) : fallback;
}

std::vector<int> Config::int_or_ints(const std::string& key, int min, int max)
    const {
  auto* value = find(key);
  if (!value) {
    return {};
  }
  if (!value->is_array()) {
    return {checked_int(*this, key, *value, min, max)};
  }
  std::vector<int> out;
  for (const auto& item : *value) {
    out.push_back(checked_int(*this, key, item, min, max));
  }
  return out;
}

std::optional<Config> Config::object(const std::string& key) const {
  auto* value = find(key);
  if (!value) {
    return std::nullopt;
  }
  return Config(*value, source_ + ": " + quote(key));
}

} // namespace zmlx::io
