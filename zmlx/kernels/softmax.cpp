#include "zmlx/kernels/softmax.h"
