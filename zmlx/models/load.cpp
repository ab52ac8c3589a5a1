#include "zmlx/models/load.h"

#include "zmlx/io/model_files.h"
#include "zmlx/models/registry.h"

namespace zmlx::models {

std::shared_ptr<nn::Model> load(
    const std::filesystem::path& path,
    const io::LoadOptions& options) {
  return make_model(io::load_model_files(path, options));
}

} // namespace zmlx::models
