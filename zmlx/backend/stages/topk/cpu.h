#pragma once

#include <memory>
#include <optional>
#include <string>

#include "zmlx/backend/cpu/launch.h"
#include "zmlx/export.h"

namespace zmlx::backend::stages {

/// Why Stage::TopK of this program cannot run on the CPU, if it cannot: what
/// holds for its row program.
ZMLX_API std::optional<std::string> topk_unsupported(
    const lang::Program& program);

/// Stage::TopK on the CPU: the k largest of each row that the row program
/// gives, descending, and their places. NaN counts as the largest; among equals
/// (NaNs too, and 0 and -0) the lowest place comes first. Outputs are
/// (rows..., k), of any strides. Work is divided by rows.
///
/// Up to kMostInserted values are kept in order while the row goes by, most
/// blocks of which are passed over by their maximum; more come from a partial
/// sort of the row.
ZMLX_API std::shared_ptr<const cpu::Executable> make_topk(
    const lang::Program& program);

} // namespace zmlx::backend::stages
