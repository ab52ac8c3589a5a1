#pragma once

#include <optional>
#include <string>

#include "zmlx/backend/cuda/schedule.h"

namespace zmlx::backend::cuda {

/// Nothing when there is text for the program, else the reason.
std::optional<std::string> without_text(const lang::Program& program);

/// Nothing when the program can run on CUDA, else the reason: also of text that
/// has not been found right on a device.
std::optional<std::string> unsupported(const lang::Program& program);

/// The text of a program that is supported, for launches of this layout.
cfamily::KernelText source(
    const lang::Program& program,
    const cfamily::Layout& layout,
    const cfamily::Threads& threads);

/// The text for row-major arrays of these shapes; one sentence where the
/// program is not supported.
std::string listing(
    const lang::Program& program,
    std::span<const lang::Shape> inputs,
    std::span<const lang::Shape> outputs,
    const Device& device);

} // namespace zmlx::backend::cuda
