#include "zmlx/backend/cpu/cpu.h"

#include "zmlx/backend/cpu/executor.h"
#include "zmlx/backend/cpu/pool.h"
#include "zmlx/backend/cpu/vector.h"
#include "zmlx/backend/stages/attention/cpu.h"
#include "zmlx/backend/stages/product/cpu.h"
#include "zmlx/backend/stages/topk/cpu.h"
#include "zmlx/base/errors.h"

namespace zmlx::backend::cpu {
namespace {

class CpuBackend : public Backend {
 public:
  std::string name() const override {
    return "cpu";
  }

  std::optional<std::string> unsupported(
      const lang::Program& program) const override {
    switch (program.stage) {
      case lang::Stage::Product:
        return stages::product_unsupported(program);
      case lang::Stage::Attention:
        return stages::attention_unsupported(program);
      case lang::Stage::TopK:
        return stages::topk_unsupported(program);
      default:
        return vector_unsupported(program);
    }
  }

  std::shared_ptr<const Executable> compile(
      const lang::Program& program) const override {
    if (auto why = unsupported(program)) {
      throw internal_error("cpu: cannot run this program: {}", *why);
    }
    switch (program.stage) {
      case lang::Stage::Product:
        return stages::make_product(program);
      case lang::Stage::Attention:
        return stages::make_attention(program);
      case lang::Stage::TopK:
        return stages::make_topk(program);
      default:
        return make_vector(program);
    }
  }

  std::string listing(
      const lang::Program& program,
      std::span<const lang::Shape> inputs,
      std::span<const lang::Shape> outputs) const override {
    return cpu::listing(program, inputs, outputs);
  }

  void run(const Launch& launch) const override {
    if (launch.is_small()) {
      launch.run(0, 1);
      return;
    }
    Pool::shared().run([&](int part, int parts) { launch.run(part, parts); });
  }

  void run(std::span<const std::unique_ptr<Launch>> launches) const override {
    Pool& pool = Pool::shared();
    pool.run([&](int part, int parts) {
      for (size_t i = 0; i < launches.size(); ++i) {
        if (i > 0) {
          launches[i]->prefetch(part, parts);
          pool.barrier();
        }
        launches[i]->run(part, parts);
      }
    });
  }
};

} // namespace

const Backend& instance() {
  static const CpuBackend backend;
  return backend;
}

std::string simd_name() {
  return vector_target();
}

} // namespace zmlx::backend::cpu
