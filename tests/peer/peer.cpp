#include "tests/peer/peer.h"

#include "tests/peer/interpret.h"
#include "tests/peer/memory.h"
#include "tests/peer/queue.h"
#include "tests/peer/transfer.h"
#include "zmlx/base/errors.h"
#include "zmlx/lang/space.h"

namespace zmlx::test_peer {
namespace {

class TestPeer : public backend::Peer {
 public:
  std::string name() const override {
    return "test peer";
  }
  backend::PeerFacts facts() const override {
    return {1, ""};
  }

  backend::Memory allocate(size_t bytes) const override {
    return allocate_hidden(bytes);
  }

  backend::Memory import(const backend::mx::array& a) const override {
    Array host = host_array(a);
    host.shape.assign(a.shape().begin(), a.shape().end());
    const auto bytes = gather(host);
    auto memory = allocate_hidden(bytes.size());
    Queue queue;
    queue.copy_in(memory.address, bytes.data(), bytes.size());
    queue.wait();
    return memory;
  }

  std::unique_ptr<backend::Queue> queue() const override {
    return std::make_unique<Queue>();
  }

  std::optional<std::string> unsupported(
      const lang::Program& program) const override {
    return why_unsupported(program);
  }

  std::shared_ptr<const backend::Executable> compile(
      const lang::Program& program) const override {
    return test_peer::compile(program);
  }

  std::string listing(
      const lang::Program& /*program*/,
      std::span<const lang::Shape> /*inputs*/,
      std::span<const lang::Shape> /*outputs*/) const override {
    return "The test peer interprets programs.";
  }

  std::unique_ptr<backend::Sequence> sequence(
      std::vector<backend::SequenceItem> items,
      const backend::Memory& scratch,
      const std::vector<backend::View>& kept) const override {
    return std::make_unique<Sequence>(std::move(items), scratch, kept);
  }
};

const TestPeer& peer() {
  static const TestPeer peer;
  return peer;
}

const backend::AddPeer kPeer(kDevice, peer());

} // namespace

const backend::Peer& instance() {
  return peer();
}

std::shared_ptr<const Executable> compile(const lang::Program& program) {
  if (const auto why = why_unsupported(program)) {
    throw internal_error("test peer: cannot run this program: {}", *why);
  }
  return std::make_shared<Executable>(program);
}

} // namespace zmlx::test_peer
