// Every public header in one translation unit: what it makes of the catalogue
// when it starts is what catalogue.cpp prints.
#include "zmlx/zmlx.h"
