// The peer of mx::Device(gpu, 0), and what libzmlx asks this library for.

#include "zmlx/backend/cuda/memory.h"
#include "zmlx/backend/cuda/mlx_cuda.h"
#include "zmlx/backend/cuda/nvrtc.h"
#include "zmlx/backend/cuda/sequence.h"
#include "zmlx/backend/cuda/source.h"
#include "zmlx/backend/plugin.h"
#include "zmlx/base/errors.h"

namespace zmlx::backend::cuda {
namespace {

/// The copy is done when this returns.
void copy_now(Address to, Address from, size_t bytes) {
  const auto queue = make_queue();
  queue->copy(to, from, bytes);
  queue->wait();
}

Memory allocate_owned(size_t bytes) {
  const Address memory = cuda::allocate(bytes);
  return {
      memory,
      bytes,
      std::shared_ptr<const void>(
          reinterpret_cast<const void*>(memory.value()),
          [memory, bytes](const void*) { release(memory, bytes); })};
}

/// Memory that host and device share stays where it is; other memory moves when
/// the host reads the array.
bool stays(const mx::array& a) {
  return static_cast<const mx::cu::CudaBuffer*>(a.buffer().ptr())->device < 0;
}

class CudaPeer : public Peer {
 public:
  std::string name() const override {
    return "cuda";
  }

  PeerFacts facts() const override {
    return {1, architecture_name(device().architecture)};
  }

  Memory allocate(size_t bytes) const override {
    if (bytes == 0) {
      return {};
    }
    auto memory = allocate_owned(bytes);
    check(
        driver().cuMemsetD8Async(memory.address.value(), 0, bytes, nullptr),
        "cuMemsetD8Async");
    check(driver().cuStreamSynchronize(nullptr), "cuStreamSynchronize");
    return memory;
  }

  Memory import(const mx::array& a) const override {
    auto own = std::make_shared<mx::array>(a);
    if (!a.flags().row_contiguous) {
      *own = mx::contiguous(a, false, mx::Device::gpu);
    }
    own->eval();
    if (own->nbytes() == 0) {
      return {};
    }
    if (stays(*own)) {
      return {address_of(*own), own->nbytes(), own};
    }
    auto memory = allocate_owned(own->nbytes());
    copy_now(memory.address, address_of(*own), own->nbytes());
    return memory;
  }

  std::unique_ptr<Queue> queue() const override {
    return make_queue();
  }

  std::optional<std::string> unsupported(
      const lang::Program& program) const override {
    return cuda::unsupported(program);
  }

  std::shared_ptr<const backend::Executable> compile(
      const lang::Program& program) const override {
    if (auto why = cuda::unsupported(program)) {
      throw internal_error("CUDA: cannot run this program: {}", *why);
    }
    return std::make_shared<Executable>(program);
  }

  std::string listing(
      const lang::Program& program,
      std::span<const lang::Shape> inputs,
      std::span<const lang::Shape> outputs) const override {
    return cuda::listing(program, inputs, outputs, device());
  }

  std::unique_ptr<backend::Sequence> sequence(
      std::vector<SequenceItem> items,
      const Memory& /*scratch*/,
      const std::vector<View>& /*kept*/) const override {
    return std::make_unique<Sequence>(std::move(items));
  }
};

} // namespace
} // namespace zmlx::backend::cuda

extern "C" const zmlx::backend::Peer* zmlx_plugin_peer(int interface) {
  using namespace zmlx::backend;
  if (interface != kPluginInterface) {
    return nullptr;
  }
  static const cuda::CudaPeer peer;
  cuda::driver(); // what is missing is said now,
  cuda::device(); // not at the first kernel
  cuda::nvrtc_version();
  return &peer;
}
