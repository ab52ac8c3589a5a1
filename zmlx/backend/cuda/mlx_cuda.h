#pragma once

// MLX's encoder of a CUDA stream and its buffers. libmlx exports them in the
// CUDA wheel alone, so this library is opened only there; the headers come with
// every wheel.
#include <mlx/backend/cuda/device.h>
