#include "tests/io/folder_builder.h"

#include "tests/io/gguf_builder.h"

namespace zmlx::io::testing {

namespace {

using nlohmann::json;

/// A safetensors file of zeros.
class Shard {
 public:
  void add(
      const std::string& name,
      const std::string& dtype,
      const std::vector<int>& shape) {
    size_t end = dtype == "U32" ? 4 : 2;
    for (auto dim : shape) {
      end *= static_cast<size_t>(dim);
    }
    end += end_;
    header_[name] = {
        {"dtype", dtype}, {"shape", shape}, {"data_offsets", {end_, end}}};
    end_ = end;
  }
  void add_packed(const std::string& layer, int rows, int columns) {
    add(layer + ".weight", "U32", {rows, columns / 8});
    add(layer + ".scales", "BF16", {rows, columns / 32});
    add(layer + ".biases", "BF16", {rows, columns / 32});
  }
  std::string bytes() const {
    return safetensors_bytes(header_.dump(), end_);
  }
  const json& header() const {
    return header_;
  }

 private:
  json header_ = {{"__metadata__", {{"format", "mlx"}}}};
  size_t end_ = 0;
};

} // namespace

std::string safetensors_bytes(const std::string& header, size_t data_bytes) {
  return le<uint64_t>(header.size()) + header + std::string(data_bytes, '\0');
}

FolderBuilder::FolderBuilder() {
  config = {
      {"model_type", "llama"},
      {"hidden_size", 32},
      {"num_hidden_layers", 1},
      {"num_attention_heads", 2},
      {"num_key_value_heads", 1},
      {"intermediate_size", 64},
      {"rms_norm_eps", 1e-5},
      {"rope_theta", 10000.0},
      {"vocab_size", 8},
      {"tie_word_embeddings", true},
      {"quantization", {{"group_size", 32}, {"bits", 4}}}};
  Shard first, second;
  first.add_packed("model.embed_tokens", 8, 32);
  first.add("model.norm.weight", "BF16", {32});
  second.add("model.layers.0.input_layernorm.weight", "BF16", {32});
  second.add_packed("model.layers.0.mlp.up_proj", 64, 32);
  second.add_packed("model.layers.0.mlp.down_proj", 32, 64);
  int number = 1;
  for (const auto& shard : {first, second}) {
    auto name =
        "model-0000" + std::to_string(number++) + "-of-00002.safetensors";
    files[name] = shard.bytes();
    for (const auto& [tensor, entry] : shard.header().items()) {
      if (tensor != "__metadata__") {
        index["weight_map"][tensor] = name;
      }
    }
  }
}

void FolderBuilder::write_to(const TempFolder& folder) const {
  folder.write("config.json", config_text.value_or(config.dump()));
  if (!index.is_null()) {
    folder.write("model.safetensors.index.json", index.dump());
  }
  for (const auto& [name, bytes] : files) {
    folder.write(name, bytes);
  }
}

} // namespace zmlx::io::testing
