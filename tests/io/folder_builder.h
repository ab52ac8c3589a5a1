#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/io/temp_folder.h"

namespace zmlx::io::testing {

/// The bytes of a safetensors file: length, header, data.
std::string safetensors_bytes(const std::string& header, size_t data_bytes);

/// A model folder with one layer, packed by affine 4 bits, group 32, in two
/// shards with an index; its parts can be changed before they are written.
struct FolderBuilder {
  FolderBuilder();

  nlohmann::json config;
  /// Written instead of `config` when set.
  std::optional<std::string> config_text;
  nlohmann::json index; // null: no index
  /// Other files, by name; the shards are among them.
  std::map<std::string, std::string> files;

  void write_to(const TempFolder& folder) const;
};

} // namespace zmlx::io::testing
