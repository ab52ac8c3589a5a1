#include <map>

#include "zmlx/backend/backend.h"
#include "zmlx/backend/plugin.h"
#include "zmlx/base/errors.h"

namespace zmlx::backend {
namespace {

// Filled by static objects before main; only read afterwards.
std::map<mx::Device, const Peer*>& peers() {
  static auto* all = new std::map<mx::Device, const Peer*>;
  return *all;
}

} // namespace

const Peer* find_peer(mx::Device device) {
  const auto found = peers().find(device);
  if (found != peers().end()) {
    return found->second;
  }
  return device == mx::Device(mx::Device::gpu, 0) ? cuda_peer() : nullptr;
}

PeerFacts peer_facts(mx::Device device) {
  const Peer* peer = find_peer(device);
  return peer ? peer->facts() : PeerFacts{};
}

AddPeer::AddPeer(mx::Device device, const Peer& peer) {
  if (!peers().emplace(device, &peer).second) {
    throw internal_error(
        "two peers for one device: {} and {}",
        find_peer(device)->name(),
        peer.name());
  }
}

} // namespace zmlx::backend
