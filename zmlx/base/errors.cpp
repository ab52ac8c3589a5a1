#include "zmlx/base/errors.h"
