#pragma once

#include <memory>
#include <span>
#include <vector>

#include "zmlx/backend/cpu/launch.h"
#include "zmlx/backend/store_groups.h"

/// Outputs that are sums over rows. Additions are in float64 (integers modulo
/// 2^64) and in an order that depends on shapes alone, whatever the number of
/// parts; there are no atomic additions.
namespace zmlx::backend::cpu {

/// Outputs of a program; what store_groups.h makes has as many.
inline constexpr size_t kMaxOutputs = 64;

/// Stores into the outputs marked in `sums` are added up over the places to
/// which their element is broadcast (Into::Sum), the others are plain. The
/// space is cut into chunks, each with sums of its own, which whoever ends last
/// adds in their order.
std::unique_ptr<Launch> make_place_sums(
    const lang::Program& program,
    std::span<const View> inputs,
    std::span<const View> outputs,
    const lang::Shape& space,
    const std::vector<bool>& sums);

/// Into::Row. Each part orders the rows of the space by the row that they name
/// and then runs those of its share one output row after the other, so that an
/// output row is written once.
std::unique_ptr<Launch> make_row_sums(
    const RowSumGroup& group,
    std::span<const View> inputs,
    std::span<const View> outputs,
    const lang::Shape& space);

} // namespace zmlx::backend::cpu
