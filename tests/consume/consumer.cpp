// Calls libzmlx from outside: our code, our errors across the library's border,
// and MLX through us.
#include <cstdio>

#include <mlx/mlx.h>

#include "zmlx/base/errors.h"
#include "zmlx/measure/device.h"
#include "zmlx/measure/tolerance.h"

int main() {
  namespace mx = mlx::core;
  auto three = mx::add(mx::array(1.0f), mx::array(2.0f));
  auto same = zmlx::measure::compare(
      three, mx::array(3.0f), zmlx::measure::OpClass::exact);
  bool refused = false;
  try {
    zmlx::measure::read_bandwidth({.threads = 0});
  } catch (const zmlx::UserError&) {
    refused = true;
  }
  std::printf("1 + 2: %s\n", same.to_string().c_str());
  return same.ok() && refused ? 0 : 1;
}
