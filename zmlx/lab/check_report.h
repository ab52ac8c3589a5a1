#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "zmlx/export.h"
#include "zmlx/lab/check.h"

/// What a check found, for people and programs.
namespace zmlx::lab {

/// A row per kernel, then the gradients that are no kernels, the failures, and
/// the counts. `width` and `color` as Table::Layout.
ZMLX_API std::string check_table(
    const std::vector<KernelCheck>& results,
    int width = 0,
    bool color = false);

/// The table of support (RFC 4180): kernel, family, input_types, cpu,
/// cpu_reason, gradient, gradient_reason, cases, comparisons, values, failures.
/// `gradient` is yes where that of each float input is made of kernels of ours
/// that ran, "-" where there is no float input.
ZMLX_API std::string check_csv(const std::vector<KernelCheck>& results);

/// {"passed", counts, "kernels": [...]}.
ZMLX_API nlohmann::ordered_json check_json(
    const std::vector<KernelCheck>& results);

} // namespace zmlx::lab
