#include "zmlx/backend/cuda/modules.h"

#include <mutex>
#include <unordered_map>

#include "zmlx/backend/cuda/images.h"
#include "zmlx/backend/cuda/nvrtc.h"
#include "zmlx/base/errors.h"
#include "zmlx/base/hash.h"

namespace zmlx::backend::cuda {
namespace {

constexpr int kLeastArchitecture = 80;

Device find_device() {
  const int capability =
      10 * device_attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) +
      device_attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  if (capability < kLeastArchitecture) {
    throw environment_error(
        "CUDA: the GPU is sm_{}, kernels need sm_{} or newer",
        capability,
        kLeastArchitecture);
  }
  return {
      device_attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT), capability};
}

CUfunction load_function(const cfamily::KernelText& text) {
  use_context();
  const auto image =
      image_of(text.source, architecture_name(device().architecture));
  CUmodule module = nullptr;
  check(driver().cuModuleLoadData(&module, image.data()), "cuModuleLoadData");
  CUfunction function = nullptr;
  check(
      driver().cuModuleGetFunction(&function, module, text.name.c_str()),
      "cuModuleGetFunction");
  return function;
}

struct Loaded {
  std::mutex mutex;
  std::unordered_map<Hash128, CUfunction, Hash128Hasher> functions;
};

Loaded& loaded() {
  static auto* all = new Loaded;
  return *all;
}

} // namespace

const Device& device() {
  static const Device found = find_device();
  return found;
}

std::shared_ptr<const Kernel> load_kernel(
    const cfamily::KernelText& text,
    unsigned block) {
  auto kernel = std::make_shared<Kernel>();
  kernel->parameters = text.parameters;
  kernel->work_of_block = text.work_of_block;
  kernel->block = block;
  std::lock_guard lock(loaded().mutex);
  auto& function = loaded().functions[hash_text(text.source)];
  if (!function) {
    function = load_function(text);
  }
  kernel->function = function;
  return kernel;
}

} // namespace zmlx::backend::cuda
