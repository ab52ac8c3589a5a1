#pragma once

// The instruction sets that the project compiles for: SSE4, AVX2, AVX-512
// (AVX3), NEON, and plain C++. Each further one would compile every kernel once
// more for little, and SVE's vectors of unknown size cannot stand in the arrays
// of the stage bodies. Include before <hwy/foreach_target.h> or
// <hwy/highway.h>.

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS \
  (HWY_AVX3_DL | HWY_SSSE3 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#endif
