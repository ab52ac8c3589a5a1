// Calls libzmlx from outside: our code, our errors across the library's border,
// and MLX through us.
#include <cmath>
#include <cstdio>

#include <mlx/mlx.h>

#include "zmlx/base/errors.h"
#include "zmlx/generate/session.h"
#include "zmlx/kernels/norms.h"
#include "zmlx/measure/device.h"
#include "zmlx/measure/tolerance.h"
#include "zmlx/patch/report.h"

namespace mx = mlx::core;

namespace {

bool refuses_bad_input() {
  try {
    zmlx::measure::read_bandwidth({.threads = 0});
  } catch (const zmlx::UserError&) {
    return true;
  }
  return false;
}

// 3 / sqrt((3^2 + 4^2) / 2) and the same of 4.
bool normalises_a_row() {
  const auto row = mx::array({3.0f, 4.0f});
  const auto got = zmlx::kernels::rmsnorm(row, mx::ones({2}), 0.0f);
  const float length = std::sqrt(12.5f);
  const auto want = mx::array({3 / length, 4 / length});
  const auto same =
      zmlx::measure::compare(got, want, zmlx::measure::OpClass::row);
  std::printf("rmsnorm: %s\n", same.to_string().c_str());
  return same.ok();
}

bool reports() {
  zmlx::generate::SessionResult session;
  session.decode_steps = 10;
  session.decode_seconds = 2;
  zmlx::Report report;
  report.plan_reason = "no model";
  return session.decode_tokens_per_second() == 5 &&
      report.summary() == "The model runs as the original: no model\n";
}

} // namespace

int main() {
  return refuses_bad_input() && normalises_a_row() && reports() ? 0 : 1;
}
