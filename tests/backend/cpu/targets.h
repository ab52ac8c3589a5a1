#pragma once

#include "zmlx/backend/cpu/targets.h"

#include <hwy/highway.h>

#include <gtest/gtest.h>

namespace zmlx::backend::cpu {

/// Calls body() once for each instruction set that is compiled and that this
/// machine has.
template <typename Body>
void for_each_target(Body body) {
  const int64_t targets = hwy::SupportedTargets() & HWY_TARGETS;
  for (int64_t left = targets; left != 0; left &= left - 1) {
    const int64_t target = left & -left;
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    body();
  }
  hwy::SetSupportedTargetsForTest(0);
}

} // namespace zmlx::backend::cpu
