// Prints the kernels of the catalogue with their other names. Opens the
// modules that it is given first.
#include <cstdio>

#include <dlfcn.h>

#include "zmlx/op/op.h"

int main(int argc, char** argv) {
  for (int i = 1; i < argc; i++) {
    if (!dlopen(argv[i], RTLD_NOW | RTLD_LOCAL)) {
      std::fprintf(stderr, "%s\n", dlerror());
      return 1;
    }
  }
  for (const auto* kernel : zmlx::op::catalogue()) {
    std::printf("%s", kernel->name().c_str());
    for (const auto& name : zmlx::op::aliases_of(*kernel)) {
      std::printf(" %s", name.c_str());
    }
    std::printf("\n");
  }
}
