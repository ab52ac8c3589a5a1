#include "zmlx/kernels/quant.h"
