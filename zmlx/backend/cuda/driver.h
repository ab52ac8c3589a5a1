#pragma once

#include <cuda.h>

/// The functions of CUDA's driver that we call: of the libcuda that MLX has
/// loaded. Nothing of CUDA is linked.
namespace zmlx::backend::cuda {

#define ZMLX_CUDA_DRIVER_FUNCTIONS(X) \
  X(cuCtxGetCurrent)                  \
  X(cuCtxSetCurrent)                  \
  X(cuDeviceGet)                      \
  X(cuDeviceGetAttribute)             \
  X(cuDevicePrimaryCtxRetain)         \
  X(cuEventCreate)                    \
  X(cuEventDestroy)                   \
  X(cuEventRecord)                    \
  X(cuEventSynchronize)               \
  X(cuGetErrorString)                 \
  X(cuInit)                           \
  X(cuLaunchKernel)                   \
  X(cuMemAllocAsync)                  \
  X(cuMemFree)                        \
  X(cuMemFreeAsync)                   \
  X(cuMemFreeHost)                    \
  X(cuMemHostAlloc)                   \
  X(cuMemcpyAsync)                    \
  X(cuMemcpyDtoDAsync)                \
  X(cuMemcpyDtoHAsync)                \
  X(cuMemcpyHtoDAsync)                \
  X(cuMemsetD8Async)                  \
  X(cuModuleGetFunction)              \
  X(cuModuleLoadData)                 \
  X(cuPointerGetAttribute)            \
  X(cuStreamCreate)                   \
  X(cuStreamDestroy)                  \
  X(cuStreamSynchronize)

struct Driver {
#define ZMLX_CUDA_MEMBER(name) decltype(&::name) name;
  ZMLX_CUDA_DRIVER_FUNCTIONS(ZMLX_CUDA_MEMBER)
#undef ZMLX_CUDA_MEMBER
};

/// EnvironmentError where there is no driver, or one too old to have them all.
const Driver& driver();

/// EnvironmentError, with the driver's words, where a call failed.
void check(CUresult result, const char* what);

/// The context of device 0 that MLX uses, made current in this thread.
void use_context();

/// An attribute of device 0.
int device_attribute(CUdevice_attribute attribute);

} // namespace zmlx::backend::cuda
