#pragma once

#include <string>

#include "zmlx/export.h"

namespace zmlx::lab {

/// The catalogue as Markdown, a table a family: how each kernel is called, what
/// it means, and of which inputs the gradient is a kernel. Depends on the
/// catalogue alone, so that docs/kernels.md is the same from every machine.
ZMLX_API std::string catalogue_page();

} // namespace zmlx::lab
