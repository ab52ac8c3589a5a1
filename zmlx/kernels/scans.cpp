#include "zmlx/kernels/scans.h"
