#include "zmlx/kernels/reductions.h"
