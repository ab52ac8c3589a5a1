#pragma once

#include "zmlx/backend/backend.h"

/// Memory that only the peer can touch: each block is one file in memory that
/// is mapped twice. The mapping whose address is given out may be neither read
/// nor written, so that host code which takes an Address for a pointer dies.
namespace zmlx::test_peer {

/// Zeroed. EnvironmentError where there is not as much.
backend::Memory allocate_hidden(size_t bytes);

/// Where the peer itself finds `bytes` bytes of an address that was given out.
/// InternalError where they are not all in one block. Null for no bytes.
std::byte* reach(backend::Address address, size_t bytes);

} // namespace zmlx::test_peer
