#pragma once

#include "zmlx/io/config.h"
#include "zmlx/nn/rope.h"

namespace zmlx::models {

/// The rotary embedding that rope_theta (10000 when missing),
/// rope_traditional and rope_scaling of `config` describe: types default,
/// linear and llama3. UserError names another type.
ZMLX_API nn::Rope rope_from_config(const io::Config& config, int dims);

/// The same base with a stretch a pair, which takes the place of rope_scaling.
ZMLX_API nn::Rope rope_from_config(
    const io::Config& config,
    int dims,
    std::vector<float> factors);

} // namespace zmlx::models
