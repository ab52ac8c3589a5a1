#include "zmlx/backend/cpu/launch.h"

#include "zmlx/backend/cpu/pool.h"
#include "zmlx/backend/cpu/runner.h"
#include "zmlx/backend/faults.h"
#include "zmlx/backend/order.h"

namespace zmlx::backend::cpu {

Executable::Executable(lang::Program program)
    : program_(std::move(program)),
      effects_(effects_of(program_)),
      can_fault_(backend::can_fault(program_)),
      runner_(std::make_unique<Runner>()) {}

Executable::~Executable() = default;

void run(const Launch& launch) {
  if (launch.is_small()) {
    launch.run(0, 1);
    return;
  }
  Pool::shared().run([&](int part, int parts) { launch.run(part, parts); });
}

} // namespace zmlx::backend::cpu
