#include "zmlx/kernels/gather.h"
