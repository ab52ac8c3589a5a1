#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "zmlx/backend/cpu/launch.h"
#include "zmlx/backend/cpu/passes.h"

namespace zmlx::backend::cpu {

/// How the places of a map or of rows are run.
Walk walk_of(const lang::Program& program);

/// As Peer::listing.
std::string listing(
    const lang::Program& program,
    std::span<const lang::Shape> inputs,
    std::span<const lang::Shape> outputs);

/// Why Stage::Map or Stage::Row of this program cannot run, if it cannot.
std::optional<std::string> vector_unsupported(const lang::Program& program);

/// Stage::Map and Stage::Row. Work is divided among the parts by rows, or by
/// places where places of a row do not depend on each other; the bits of the
/// outputs do not depend on the number of parts.
std::shared_ptr<const Executable> make_vector(const lang::Program& program);

} // namespace zmlx::backend::cpu
