#pragma once

#include "zmlx/backend/backend.h"
#include "zmlx/backend/cpu/launch.h"

namespace zmlx::backend::cpu {

/// The CPU peer: blocked vector programs and stage bodies over Highway,
/// dispatched at run time to SSE4, AVX2, AVX-512 or NEON; the project's own
/// threads. One instance a process, for streams of Device(cpu, 0).
ZMLX_API const Peer& instance();

/// What instance().compile() gives, with bind().
ZMLX_API std::shared_ptr<const Executable> compile(
    const lang::Program& program);

/// "AVX3_DL", "AVX2", ...: the instruction set in use.
ZMLX_API std::string simd_name();

} // namespace zmlx::backend::cpu
