#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>

#include <mlx/mlx.h>

#include "zmlx/export.h"
#include "zmlx/io/config.h"
#include "zmlx/io/gguf.h"
#include "zmlx/io/load_options.h"

namespace zmlx::io {

namespace mx = mlx::core;

/// How a layer's weight is packed, in the words of mx::quantized_matmul.
struct Quantization {
  int group_size; // weights that share a scale: 32, 64 or 128
  int bits; // 2, 3, 4, 5, 6 or 8
  std::string mode; // "affine" (scales and biases) or "mxfp4" (scales only)

  bool operator==(const Quantization&) const = default;
};

using Weights = std::unordered_map<std::string, mx::array>;

/// A model as it lies on disk, checked, with one set of names whatever the
/// format was.
struct ModelFiles {
  /// Keys as in Hugging Face's config.json. These are always there and in
  /// range: model_type, hidden_size, num_hidden_layers, num_attention_heads,
  /// num_key_value_heads, head_dim, vocab_size. These are in range where they
  /// are there: intermediate_size, rms_norm_eps, max_position_embeddings,
  /// tie_word_embeddings, bos_token_id, eos_token_id (one or several).
  /// `rope_parameters` of newer configs is rewritten to the older rope_theta
  /// and rope_scaling (with `rope_type`), num_local_experts to num_experts.
  /// From GGUF the same keys are made of its metadata, and rope_traditional is
  /// true for architecture llama, whose q and k rows are stored interleaved.
  Config config;

  /// Hugging Face's names: model.layers.N.self_attn.q_proj.weight, and .scales
  /// and .biases beside a packed .weight. Evaluated. Of GGUF, names without a
  /// counterpart keep their own (`rope_freqs.weight`: factors (head_dim / 2)
  /// that divide the rope frequencies).
  Weights weights;

  /// The folder, or the .gguf file itself.
  std::filesystem::path root;
  bool is_gguf = false;

  /// Empty for folders.
  GgufMetadata gguf_metadata;

  /// How `layer` ("model.layers.0.mlp.up_proj") is packed; nothing when its
  /// weight is dense.
  ZMLX_API std::optional<Quantization> quantization(
      const std::string& layer) const;

  /// Filled by load_model_files: one entry a packed layer, whose shapes have
  /// been checked against it.
  std::unordered_map<std::string, Quantization> quantized_layers;
};

/// Loads a folder (config.json, and model.safetensors or the shards that
/// model.safetensors.index.json lists) or a .gguf file. Every header is
/// checked before MLX sees the file. UserError names the path, what was found
/// and what was expected. The arrays are evaluated in the calling thread.
ZMLX_API ModelFiles load_model_files(
    const std::filesystem::path& path,
    const LoadOptions& options = {});

} // namespace zmlx::io
