#pragma once

#include <string>

#include "zmlx/export.h"
#include "zmlx/io/config.h"
#include "zmlx/io/gguf.h"

namespace zmlx::io {

/// Hugging Face's config keys, made of a GGUF file's metadata and tensors.
/// `source` is the file's path. UserError names the metadata key that is
/// missing or wrong.
ZMLX_API Config
gguf_config(const GgufHeader& header, const std::string& source);

/// "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight"; a name
/// without a counterpart stays as it is.
ZMLX_API std::string hf_weight_name(const std::string& gguf_name);

} // namespace zmlx::io
