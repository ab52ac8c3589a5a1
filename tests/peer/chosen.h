#pragma once

#include <optional>

#include <mlx/mlx.h>

/// The device that a test program runs on: `--on-test-peer` chooses the test
/// peer's, `--on-gpu` MLX's GPU, else it is the CPU. Of programs linked with
/// zmlx_test_main.
namespace zmlx::test_peer {

mlx::core::Device chosen_device();
/// Nothing for the CPU, whose default stream will do.
mlx::core::StreamOrDevice chosen_stream();
bool on_test_peer();
/// "cpu", "test peer", "gpu"
const char* chosen_name();

} // namespace zmlx::test_peer
