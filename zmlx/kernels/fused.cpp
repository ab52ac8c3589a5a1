#include "zmlx/kernels/fused.h"
