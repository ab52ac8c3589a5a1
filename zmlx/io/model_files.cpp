#include "zmlx/io/model_files.h"

#include <algorithm>
#include <map>
#include <set>
#include <system_error>
#include <vector>

#include "zmlx/base/errors.h"
#include "zmlx/io/gguf_config.h"
#include "zmlx/io/gguf_load.h"
#include "zmlx/io/gguf_types.h"
#include "zmlx/io/model_config.h"
#include "zmlx/io/quantization.h"
#include "zmlx/io/quote.h"
#include "zmlx/io/safetensors.h"

namespace zmlx::io {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* index_name = "model.safetensors.index.json";

/// Bytes of weights that are evaluated between two reports of progress.
constexpr uint64_t batch_bytes = uint64_t{64} << 20;

std::vector<std::string> file_names(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto it = fs::directory_iterator(folder, error);
       !error && it != fs::directory_iterator();
       it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  if (error) {
    throw user_error(
        "{}: cannot be listed: {}", folder.string(), error.message());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// "found 'a', 'b' and 7 more", for errors about what is missing.
std::string found(const fs::path& folder) {
  constexpr size_t limit = 8;
  auto names = file_names(folder);
  if (names.empty()) {
    return "the folder is empty";
  }
  std::string out = "found ";
  for (size_t i = 0; i < std::min(names.size(), limit); i++) {
    out += (i ? ", " : "") + quote(names[i]);
  }
  if (names.size() > limit) {
    out += fmt::format(" and {} more", names.size() - limit);
  }
  return out;
}

/// Which tensors of which files: the files that hold a folder's weights and,
/// where there is an index, the tensors that it promises in each.
using Shards = std::map<std::string, std::vector<std::string>>;

Shards indexed_shards(const fs::path& folder) {
  auto path = folder / index_name;
  Config index(read_json(path), path.string());
  auto map = index.object("weight_map");
  if (!map || map->json().empty()) {
    throw user_error(
        "{}: 'weight_map' is missing or empty, expected an object from tensors "
        "to files",
        path.string());
  }
  Shards shards;
  for (const auto& [tensor, value] : map->json().items()) {
    auto file = value.is_string() ? value.get<std::string>() : std::string();
    // Nothing outside the folder is read.
    if (!file.ends_with(".safetensors") ||
        file.find_first_of("/\\") != file.npos ||
        file.find('\0') != file.npos) {
      throw user_error(
          "{}: the file of {} is {}, expected the name of a .safetensors file "
          "in the folder",
          path.string(),
          quote(tensor),
          quote(value.dump(-1, ' ', true, json::error_handler_t::replace)));
    }
    shards[file].push_back(tensor);
  }
  for (const auto& [file, tensors] : shards) {
    if (!fs::exists(folder / file)) {
      throw user_error(
          "{}: {} is listed in {} and missing; {}",
          folder.string(),
          quote(file),
          index_name,
          found(folder));
    }
  }
  return shards;
}

Shards find_shards(const fs::path& folder) {
  if (fs::exists(folder / index_name)) {
    return indexed_shards(folder);
  }
  Shards shards;
  for (const auto& name : file_names(folder)) {
    if (name.starts_with("model") && name.ends_with(".safetensors")) {
      shards[name];
    }
  }
  if (shards.empty()) {
    throw user_error(
        "{}: expected model.safetensors or {}; {}",
        folder.string(),
        index_name,
        found(folder));
  }
  return shards;
}

/// Checks every header before the first weight is read; returns the bytes of
/// weights in all.
uint64_t check_shards(const fs::path& folder, const Shards& shards) {
  uint64_t total = 0;
  std::map<std::string, std::string> owner;
  for (const auto& [file, promised] : shards) {
    for (const auto& tensor : read_safetensors_header(folder / file)) {
      auto [it, inserted] = owner.emplace(tensor.name, file);
      if (!inserted) {
        throw user_error(
            "{}: tensor {} is in {} and in {}",
            folder.string(),
            quote(tensor.name),
            quote(it->second),
            quote(file));
      }
      total += tensor.end - tensor.begin;
    }
    for (const auto& name : promised) {
      auto it = owner.find(name);
      if (it == owner.end() || it->second != file) {
        throw user_error(
            "{}: {} promises tensor {} in {}, which does not have it",
            folder.string(),
            index_name,
            quote(name),
            quote(file));
      }
    }
  }
  return total;
}

/// Reads the arrays of one file into memory, reporting as it goes.
void read_arrays(
    const Weights& arrays,
    const std::string& item,
    uint64_t total,
    uint64_t& done,
    const LoadOptions& options) {
  std::vector<mx::array> batch;
  uint64_t bytes = 0;
  auto flush = [&] {
    mx::eval(batch);
    batch.clear();
    done += bytes;
    bytes = 0;
    if (options.progress) {
      options.progress(item, done, total);
    }
  };
  for (const auto& [name, array] : arrays) {
    batch.push_back(array);
    bytes += array.nbytes();
    if (bytes >= batch_bytes) {
      flush();
    }
  }
  flush();
}

Weights load_shards(
    const fs::path& folder,
    const Shards& shards,
    const LoadOptions& options) {
  auto total = check_shards(folder, shards);
  uint64_t done = 0;
  Weights weights;
  for (const auto& [file, tensors] : shards) {
    if (options.progress) {
      options.progress(file, done, total);
    }
    auto path = (folder / file).string();
    try {
      auto arrays = mx::load_safetensors(path).first;
      read_arrays(arrays, file, total, done, options);
      weights.merge(arrays);
    } catch (const UserError&) {
      throw;
    } catch (const std::exception& error) {
      throw user_error("{}: MLX cannot load it: {}", path, error.what());
    }
  }
  return weights;
}

/// config.json, with the stop tokens of generation_config.json where that says
/// more: chat models name the end of a turn only there.
Config folder_config(const fs::path& folder) {
  auto path = folder / "config.json";
  if (!fs::exists(path)) {
    throw user_error(
        "{}: expected a config.json; {}", folder.string(), found(folder));
  }
  Config config(read_json(path), path.string());
  auto generation_path = folder / "generation_config.json";
  if (fs::exists(generation_path)) {
    Config generation(read_json(generation_path), generation_path.string());
    if (generation.has("eos_token_id")) {
      auto merged = config.json();
      merged["eos_token_id"] = generation.json()["eos_token_id"];
      config = Config(std::move(merged), config.source());
    }
  }
  return checked_model_config(config);
}

ModelFiles load_folder(const fs::path& folder, const LoadOptions& options) {
  auto config = folder_config(folder);
  auto weights = load_shards(folder, find_shards(folder), options);
  auto layers = config_quantization(config, weights);
  check_packed_weights(layers, weights, folder.string());
  return {
      std::move(config),
      std::move(weights),
      folder,
      false,
      {},
      std::move(layers)};
}

ModelFiles load_gguf_file(const fs::path& path, const LoadOptions& options) {
  auto header = read_gguf_header(path);
  auto config = checked_model_config(gguf_config(header, path.string()));
  uint64_t total = 0;
  QuantizedLayers layers;
  for (const auto& tensor : header.tensors) {
    total += tensor.nbytes;
    if (auto bits = find_gguf_type(tensor.type)->packed_bits) {
      auto name = hf_weight_name(tensor.name);
      name.resize(name.size() - std::string_view(".weight").size());
      layers.emplace(name, Quantization{32, static_cast<int>(bits), "affine"});
    }
  }
  auto item = path.filename().string();
  if (options.progress) {
    options.progress(item, 0, total);
  }
  Weights weights;
  for (auto& [name, array] : load_gguf_tensors(path, header)) {
    auto [it, inserted] = weights.emplace(hf_weight_name(name), array);
    if (!inserted) {
      throw user_error(
          "{}: two tensors stand for {}", path.string(), quote(it->first));
    }
  }
  check_packed_weights(layers, weights, path.string());
  if (options.progress) {
    options.progress(item, total, total);
  }
  return {
      std::move(config),
      std::move(weights),
      path,
      true,
      std::move(header.metadata),
      std::move(layers)};
}

} // namespace

std::optional<Quantization> ModelFiles::quantization(
    const std::string& layer) const {
  auto it = quantized_layers.find(layer);
  return it == quantized_layers.end() ? std::nullopt
                                      : std::optional(it->second);
}

ModelFiles load_model_files(
    const std::filesystem::path& path,
    const LoadOptions& options) {
  constexpr const char* expected =
      "expected a folder with config.json and safetensors, or a .gguf file";
  std::error_code error;
  auto status = fs::status(path, error);
  if (!fs::exists(status)) {
    throw user_error("{}: no such file or folder; {}", path.string(), expected);
  }
  if (fs::is_directory(status)) {
    return load_folder(path, options);
  }
  if (!is_gguf(path)) {
    throw user_error("{}: {}", path.string(), expected);
  }
  return load_gguf_file(path, options);
}

} // namespace zmlx::io
