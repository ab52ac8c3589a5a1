#pragma once

// The instruction sets that the project compiles for: SSE4, AVX2, AVX-512
// (AVX3), NEON, and plain C++. Each further one would compile every kernel once
// more for little. Include before <hwy/foreach_target.h> or <hwy/highway.h>.

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_AVX3_DL | HWY_SSSE3)
#endif
