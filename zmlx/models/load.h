#pragma once

#include <filesystem>
#include <memory>

#include "zmlx/export.h"
#include "zmlx/io/load_options.h"
#include "zmlx/nn/decoder.h"

namespace zmlx::models {

/// The model of a folder or a .gguf file: io::load_model_files, then
/// make_model.
ZMLX_API std::shared_ptr<nn::Model> load(
    const std::filesystem::path& path,
    const io::LoadOptions& options = {});

} // namespace zmlx::models
