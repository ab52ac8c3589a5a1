#pragma once

#include <memory>
#include <string>
#include <vector>

#include "zmlx/export.h"
#include "zmlx/io/model_files.h"
#include "zmlx/nn/decoder.h"

namespace zmlx::models {

/// Builds a model of one `model_type`; takes the weights out of the files.
/// UserError when a weight is missing, left over or of the wrong shape or type,
/// or when the config asks for what this architecture does not do.
using Maker = std::shared_ptr<nn::Model> (*)(io::ModelFiles files);

/// Makes a model type known. A model is one file of this folder with one
/// static object of this class.
class Registration {
 public:
  Registration(const std::string& model_type, Maker maker);
};

/// The model of `files`, by its config's model_type. UserError lists the known
/// types when it is none of them.
ZMLX_API std::shared_ptr<nn::Model> make_model(io::ModelFiles files);

/// Sorted.
ZMLX_API std::vector<std::string> known_model_types();

} // namespace zmlx::models
