#include "zmlx/kernels/rope.h"
