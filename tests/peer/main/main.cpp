#include <string_view>

#include <gtest/gtest.h>

#include "tests/peer/chosen.h"
#include "tests/peer/peer.h"

namespace zmlx::test_peer {
namespace {

bool chosen = false;

} // namespace

bool on_test_peer() {
  return chosen;
}

mlx::core::Device chosen_device() {
  return chosen ? kDevice : mlx::core::Device(mlx::core::Device::cpu);
}

mlx::core::StreamOrDevice chosen_stream() {
  if (!chosen) {
    return {};
  }
  static const auto stream = mlx::core::new_stream(kDevice);
  return stream;
}

} // namespace zmlx::test_peer

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--on-test-peer") {
      zmlx::test_peer::chosen = true;
    }
  }
  return RUN_ALL_TESTS();
}
