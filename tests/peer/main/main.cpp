#include <string_view>

#include <gtest/gtest.h>

#include "tests/peer/chosen.h"
#include "tests/peer/peer.h"

namespace zmlx::test_peer {
namespace {

namespace mx = mlx::core;

mx::Device chosen = mx::Device::cpu;

} // namespace

bool on_test_peer() {
  return chosen == kDevice;
}

mx::Device chosen_device() {
  return chosen;
}

mx::StreamOrDevice chosen_stream() {
  if (chosen == mx::Device(mx::Device::cpu)) {
    return {};
  }
  static const auto stream = mx::new_stream(chosen);
  return stream;
}

const char* chosen_name() {
  return on_test_peer()                ? "test peer"
      : chosen.type == mx::Device::gpu ? "gpu"
                                       : "cpu";
}

} // namespace zmlx::test_peer

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--on-test-peer") {
      zmlx::test_peer::chosen = zmlx::test_peer::kDevice;
    } else if (std::string_view(argv[i]) == "--on-gpu") {
      zmlx::test_peer::chosen = mlx::core::Device::gpu;
      // What results are held against is computed on the CPU.
      mlx::core::set_default_device(mlx::core::Device::cpu);
    }
  }
  return RUN_ALL_TESTS();
}
