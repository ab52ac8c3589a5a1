#pragma once

#include <string>

#include "zmlx/export.h"
#include "zmlx/io/model_files.h"

namespace zmlx::io {

/// The array `name`, removed from files.weights, so that what remains there is
/// what the model did not use. UserError, naming the folder or file, when it is
/// missing or its shape is not `expected` (-1 is any size).
ZMLX_API mx::array
take(ModelFiles& files, const std::string& name, const mx::Shape& expected);

} // namespace zmlx::io
