#include "zmlx/kernels/activations.h"
