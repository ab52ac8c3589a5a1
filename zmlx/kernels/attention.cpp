#include "zmlx/kernels/attention.h"
