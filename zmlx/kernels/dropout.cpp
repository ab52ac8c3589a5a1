#include "zmlx/kernels/dropout.h"
