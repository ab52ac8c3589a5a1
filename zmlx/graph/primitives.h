#pragma once

// The classes of MLX's primitives, whose attributes the rules read. The one
// place of this room that includes more of MLX than mlx/mlx.h.
#include <mlx/primitives.h>
