#pragma once

#include <string>
#include <unordered_map>

#include "zmlx/io/config.h"
#include "zmlx/io/model_files.h"

namespace zmlx::io {

using QuantizedLayers = std::unordered_map<std::string, Quantization>;

/// How each layer that has `.scales` is packed, by `quantization` (or
/// `quantization_config`) of a config: {group_size, bits, mode} for all layers
/// and, under a layer's name, an override or `false`. A mode that is left out
/// is "affine", in overrides too, as mlx_lm reads them. UserError for values
/// that MLX does not have and for layers that do not fit their entry.
QuantizedLayers config_quantization(
    const Config& config,
    const Weights& weights);

/// Checks that weight, scales and biases of each packed layer fit together and
/// that every other weight is a floating-point array. UserError names the
/// array; `source` the file or folder.
void check_packed_weights(
    const QuantizedLayers& layers,
    const Weights& weights,
    const std::string& source);

} // namespace zmlx::io
