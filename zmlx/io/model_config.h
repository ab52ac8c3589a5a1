#pragma once

#include "zmlx/export.h"
#include "zmlx/io/config.h"

namespace zmlx::io {

/// A config as ModelFiles promises it: newer spellings rewritten to the older
/// ones, num_key_value_heads and head_dim filled in, the keys that every
/// decoder has checked for presence, type, range and that they fit together.
/// UserError names key, value and what was expected.
ZMLX_API Config checked_model_config(const Config& config);

} // namespace zmlx::io
