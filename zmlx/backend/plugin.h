#pragma once

#include "zmlx/backend/backend.h"

/// A library of its own with a peer that needs more than every machine has. It
/// is opened when MLX runs on its device, from the folder of the library or
/// program that asks, or from `lib` beside that folder.
namespace zmlx::backend {

/// Raised when the seam changes: a library of another build is not used.
inline constexpr int kPluginInterface = 1;

/// The peer of CUDA's first device; null where MLX does not run on CUDA or
/// there is no libzmlx_cuda.so of this build; the reason is then logged.
const Peer* cuda_peer();

} // namespace zmlx::backend

/// What such a library exports: its peer, null where `interface` is not its
/// own. EnvironmentError where the machine lacks what it needs.
extern "C" ZMLX_API const zmlx::backend::Peer* zmlx_plugin_peer(int interface);
