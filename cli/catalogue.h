#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "zmlx/op/op.h"

/// The kernels that a command line names.
namespace zmlx::cli {

/// The argument [KERNEL...] of `app`.
void add_kernel_names(CLI::App& app, std::vector<std::string>& names);

/// Those of these names, each once, in the order of the catalogue; all where
/// none is named. UserError, with the nearest name, for one that is not there.
std::vector<const op::Op*> kernels_named(const std::vector<std::string>& names);

} // namespace zmlx::cli
