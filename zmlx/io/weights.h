#pragma once

#include <optional>
#include <string>

#include "zmlx/export.h"
#include "zmlx/io/model_files.h"

namespace zmlx::io {

/// The array `name`, removed from `weights`, so that what remains is what the
/// model did not use. UserError when it is missing or its shape is not
/// `expected` (-1 is any size).
ZMLX_API mx::array
take(Weights& weights, const std::string& name, const mx::Shape& expected);

/// The same, or nothing when `name` is missing.
ZMLX_API std::optional<mx::array> take_optional(
    Weights& weights,
    const std::string& name,
    const mx::Shape& expected);

} // namespace zmlx::io
