#include "zmlx/kernels/transformer.h"
