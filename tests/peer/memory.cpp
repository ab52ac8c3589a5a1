#include "tests/peer/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <map>
#include <mutex>

#include "zmlx/base/errors.h"

namespace zmlx::test_peer {
namespace {

struct Block {
  size_t bytes;
  std::byte* open; // the mapping that the peer uses
};

/// Blocks by the address that was given out.
struct Blocks {
  std::mutex mutex;
  std::map<uintptr_t, Block> all;
};

Blocks& blocks() {
  static auto* instance = new Blocks; // owners may outlive statics
  return *instance;
}

void* map(int file, size_t bytes, int protection) {
  void* at = mmap(nullptr, bytes, protection, MAP_SHARED, file, 0);
  return at == MAP_FAILED ? nullptr : at;
}

void unmap(void* at, size_t bytes) {
  if (at) {
    munmap(at, bytes);
  }
}

} // namespace

backend::Memory allocate_hidden(size_t bytes) {
  if (bytes == 0) {
    return {};
  }
  const int file = memfd_create("zmlx-test-peer", MFD_CLOEXEC);
  const bool sized = file >= 0 &&
      bytes <= static_cast<size_t>(std::numeric_limits<off_t>::max()) &&
      ftruncate(file, static_cast<off_t>(bytes)) == 0;
  void* shown = sized ? map(file, bytes, PROT_NONE) : nullptr;
  void* open = sized ? map(file, bytes, PROT_READ | PROT_WRITE) : nullptr;
  if (file >= 0) {
    close(file); // the mappings keep it
  }
  if (!shown || !open) {
    unmap(shown, bytes);
    unmap(open, bytes);
    throw environment_error(
        "test peer: no memory for a buffer of {} bytes", bytes);
  }
  {
    std::lock_guard lock(blocks().mutex);
    blocks().all[reinterpret_cast<uintptr_t>(shown)] = {
        bytes, static_cast<std::byte*>(open)};
  }
  const auto release = [bytes, open](void* given) {
    {
      std::lock_guard lock(blocks().mutex);
      blocks().all.erase(reinterpret_cast<uintptr_t>(given));
    }
    unmap(open, bytes);
    unmap(given, bytes);
  };
  return {shown, bytes, {shown, release}};
}

std::byte* reach(backend::Address address, size_t bytes) {
  if (bytes == 0) {
    return nullptr;
  }
  std::lock_guard lock(blocks().mutex);
  auto after = blocks().all.upper_bound(address.value());
  if (after != blocks().all.begin()) {
    const auto& [begin, block] = *--after;
    const size_t offset = address.value() - begin;
    if (offset <= block.bytes && bytes <= block.bytes - offset) {
      return block.open + offset;
    }
  }
  throw internal_error(
      "test peer: {} bytes at {:#x} are not in its memory",
      bytes,
      address.value());
}

} // namespace zmlx::test_peer
