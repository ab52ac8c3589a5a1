#include "zmlx/backend/cpu/cpu.h"

#include <sys/mman.h>

#include <cstring>

#include "zmlx/backend/cpu/executor.h"
#include "zmlx/backend/cpu/pool.h"
#include "zmlx/backend/cpu/sequence.h"
#include "zmlx/backend/stages/attention/cpu.h"
#include "zmlx/backend/stages/product/cpu.h"
#include "zmlx/backend/stages/topk/cpu.h"
#include "zmlx/base/errors.h"

namespace zmlx::backend::cpu {
namespace {

/// All is done when the call returns.
class CpuQueue : public Queue {
 public:
  void copy_in(Address to, const void* from, size_t bytes) override {
    std::memcpy(pointer(to), from, bytes);
  }
  void copy_out(void* to, Address from, size_t bytes) override {
    std::memcpy(to, pointer(from), bytes);
  }
  uint64_t begin_copy_out(void* to, Address from, size_t bytes) override {
    copy_out(to, from, bytes);
    return 0;
  }
  void wait_for(uint64_t /*mark*/) override {}
  void copy(Address to, Address from, size_t bytes) override {
    std::memcpy(pointer(to), pointer(from), bytes);
  }
  void run(Sequence& sequence) override {
    run_sequence(sequence);
  }
  void wait() override {}
};

struct StageFunctions {
  std::optional<std::string> (*unsupported)(const lang::Program& program);
  std::shared_ptr<const Executable> (*make)(const lang::Program& program);
};

StageFunctions stage_of(const lang::Program& program) {
  switch (program.stage) {
    case lang::Stage::Product:
      return {&stages::product_unsupported, &stages::make_product};
    case lang::Stage::Attention:
      return {&stages::attention_unsupported, &stages::make_attention};
    case lang::Stage::TopK:
      return {&stages::topk_unsupported, &stages::make_topk};
    default:
      return {&vector_unsupported, &make_vector};
  }
}

class CpuPeer : public Peer {
 public:
  std::string name() const override {
    return "cpu";
  }

  PeerFacts facts() const override {
    return {Pool::shared().threads(), simd_name()};
  }

  Memory allocate(size_t bytes) const override {
    if (bytes == 0) {
      return {};
    }
    void* p = mmap(
        nullptr,
        bytes,
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
        -1,
        0);
    if (p == MAP_FAILED) {
      throw environment_error("no memory for a buffer of {} bytes", bytes);
    }
    return {p, bytes, {p, [bytes](void* memory) { munmap(memory, bytes); }}};
  }

  Memory import(const mx::array& a) const override {
    auto own = std::make_shared<mx::array>(a);
    if (!a.flags().row_contiguous) {
      *own = mx::contiguous(a, false, mx::Device::cpu);
      own->eval();
    }
    return {own->data<char>(), own->nbytes(), own};
  }

  std::unique_ptr<Queue> queue() const override {
    return std::make_unique<CpuQueue>();
  }

  std::optional<std::string> unsupported(
      const lang::Program& program) const override {
    return stage_of(program).unsupported(program);
  }

  std::shared_ptr<const backend::Executable> compile(
      const lang::Program& program) const override {
    return cpu::compile(program);
  }

  std::string listing(
      const lang::Program& program,
      std::span<const lang::Shape> inputs,
      std::span<const lang::Shape> outputs) const override {
    return cpu::listing(program, inputs, outputs);
  }

  std::unique_ptr<Sequence> sequence(
      std::vector<SequenceItem> items,
      const Memory& /*scratch*/,
      const std::vector<View>& /*kept*/) const override {
    return make_sequence(std::move(items));
  }
};

const AddPeer kPeer(mx::Device(mx::Device::cpu, 0), instance());

} // namespace

const Peer& instance() {
  static const CpuPeer peer;
  return peer;
}

std::shared_ptr<const Executable> compile(const lang::Program& program) {
  if (auto why = instance().unsupported(program)) {
    throw internal_error("cpu: cannot run this program: {}", *why);
  }
  return stage_of(program).make(program);
}

} // namespace zmlx::backend::cpu
