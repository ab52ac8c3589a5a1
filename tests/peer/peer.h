#pragma once

#include "tests/peer/executable.h"

/// A second device, for tests alone: it shows what the code above the seam
/// (zmlx/backend/backend.h) takes for granted of a device. Its memory cannot be
/// touched by the host, it runs in a thread of its own, tells results and
/// faults only when it is waited for, and runs sequences in the most
/// inconvenient order that their effects allow. It interprets programs, plainly
/// and slowly.
namespace zmlx::test_peer {

/// Programs that link zmlx_test_peer have it as the peer of this device. MLX
/// runs what is queued on a stream of it on the CPU, and has no default stream
/// for it: streams must be made and named.
const backend::mx::Device kDevice(backend::mx::Device::cpu, 1);

const backend::Peer& instance();

std::shared_ptr<const Executable> compile(const lang::Program& program);

} // namespace zmlx::test_peer
