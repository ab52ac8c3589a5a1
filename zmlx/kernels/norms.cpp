#include "zmlx/kernels/norms.h"
