#pragma once

#include <cstdint>

#include "zmlx/io/model_files.h"

namespace zmlx::models {

/// A Llama of any size with random weights, for tests and benchmarks.
struct RandomLlama {
  int hidden = 192;
  int layers = 2;
  int heads = 3;
  int kv_heads = 1;
  int head_dim = 0; // 0: hidden / heads
  int ffn = 544;
  int vocab = 1001;
  int max_positions = 2048;
  int bits = 4; // 0: dense
  int group_size = 32;
  bool tied = true;
  bool attention_bias = false;
  bool mlp_bias = false;
  bool rope_traditional = false;
  double rope_theta = 10000;
  nlohmann::json rope_scaling = nullptr; // as in config.json
  mlx::core::Dtype dtype = mlx::core::float16; // of scales and dense weights
  uint64_t seed = 0;
};

/// The files that such a model would be loaded from; the same for the same
/// options. Layers whose inputs are no multiple of group_size stay dense, as
/// mlx_lm leaves them.
ZMLX_API io::ModelFiles random_llama(const RandomLlama& options);

} // namespace zmlx::models
