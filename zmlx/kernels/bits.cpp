#include "zmlx/kernels/bits.h"
