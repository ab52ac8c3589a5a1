#pragma once

#include "zmlx/io/file_reader.h"
#include "zmlx/io/gguf.h"
#include "zmlx/io/model_files.h"

namespace zmlx::io {

/// Reads a tensor of a type whose GgufReader is `own` into `weights`: BF16 as
/// bfloat16; Q4_K, which is affine with 4 bits and groups of 32, packed as
/// x.weight, x.scales and x.biases (float16, rounded from scale times scale).
void decode_gguf_tensor(
    FileReader& file,
    const GgufTensor& tensor,
    Weights& weights);

} // namespace zmlx::io
