#include "zmlx/backend/cuda/driver.h"

#include <dlfcn.h>

#include "zmlx/base/errors.h"

// Some names of cuda.h are macros for newer forms of a function.
#define ZMLX_CUDA_TEXT(name) #name
#define ZMLX_CUDA_NAME(name) ZMLX_CUDA_TEXT(name)

namespace zmlx::backend::cuda {
namespace {

Driver load() {
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    throw environment_error("CUDA: no driver: {}", dlerror());
  }
  Driver functions{};
#define ZMLX_CUDA_FIND(name)                                                \
  functions.name = reinterpret_cast<decltype(functions.name)>(              \
      dlsym(library, ZMLX_CUDA_NAME(name)));                                \
  if (!functions.name) {                                                    \
    throw environment_error(                                                \
        "CUDA: the driver is too old: it has no {}", ZMLX_CUDA_NAME(name)); \
  }
  ZMLX_CUDA_DRIVER_FUNCTIONS(ZMLX_CUDA_FIND)
#undef ZMLX_CUDA_FIND
  return functions;
}

CUdevice device() {
  static const CUdevice first = [] {
    CUdevice found = 0;
    check(driver().cuInit(0), "cuInit"); // MLX may have called nothing yet
    check(driver().cuDeviceGet(&found, 0), "cuDeviceGet");
    return found;
  }();
  return first;
}

CUcontext context() {
  static const CUcontext primary = [] {
    CUcontext found = nullptr;
    check(
        driver().cuDevicePrimaryCtxRetain(&found, device()),
        "cuDevicePrimaryCtxRetain");
    return found;
  }();
  return primary;
}

} // namespace

const Driver& driver() {
  static const Driver functions = load();
  return functions;
}

void check(CUresult result, const char* what) {
  if (result == CUDA_SUCCESS) {
    return;
  }
  const char* why = nullptr;
  driver().cuGetErrorString(result, &why);
  throw environment_error(
      "CUDA: {} failed: {}", what, why ? why : "an unknown error");
}

void use_context() {
  CUcontext now = nullptr;
  check(driver().cuCtxGetCurrent(&now), "cuCtxGetCurrent");
  if (now != context()) {
    check(driver().cuCtxSetCurrent(context()), "cuCtxSetCurrent");
  }
}

int device_attribute(CUdevice_attribute attribute) {
  int value = 0;
  check(
      driver().cuDeviceGetAttribute(&value, attribute, device()),
      "cuDeviceGetAttribute");
  return value;
}

} // namespace zmlx::backend::cuda
