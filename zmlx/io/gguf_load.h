#pragma once

#include <filesystem>

#include "zmlx/io/gguf.h"
#include "zmlx/io/model_files.h"

namespace zmlx::io {

/// The tensors of a GGUF file whose header was checked, under their names in
/// the file, through mx::load_gguf where it is right; packed ones as .weight,
/// .scales and .biases.
Weights load_gguf_tensors(
    const std::filesystem::path& path,
    const GgufHeader& header);

} // namespace zmlx::io
