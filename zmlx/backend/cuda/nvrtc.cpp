#include "zmlx/backend/cuda/nvrtc.h"

#include <dlfcn.h>
#include <nvrtc.h>

#include <array>
#include <memory>

#include <fmt/format.h>

#include "zmlx/base/errors.h"

namespace zmlx::backend::cuda {
namespace {

/// The functions of NVRTC that we call: of the library that MLX has loaded, or
/// else of one that the system finds.
struct Nvrtc {
  decltype(&nvrtcVersion) version;
  decltype(&nvrtcCreateProgram) create;
  decltype(&nvrtcDestroyProgram) destroy;
  decltype(&nvrtcCompileProgram) compile;
  decltype(&nvrtcGetProgramLogSize) log_size;
  decltype(&nvrtcGetProgramLog) log;
  decltype(&nvrtcGetCUBINSize) image_size;
  decltype(&nvrtcGetCUBIN) image;
  decltype(&nvrtcGetErrorString) error;
};

void* open_library() {
  const auto names = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"};
  for (int mode : {RTLD_NOLOAD, 0}) {
    for (const char* name : names) {
      if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL | mode)) {
        return library;
      }
    }
  }
  throw environment_error(
      "CUDA: no libnvrtc.so.13 or libnvrtc.so.12 was found, which MLX's CUDA "
      "wheel brings along");
}

template <typename F>
void find(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(library, name));
  if (!function) {
    throw environment_error("CUDA: libnvrtc has no {}", name);
  }
}

Nvrtc load() {
  void* library = open_library();
  Nvrtc nvrtc{};
  find(library, "nvrtcVersion", nvrtc.version);
  find(library, "nvrtcCreateProgram", nvrtc.create);
  find(library, "nvrtcDestroyProgram", nvrtc.destroy);
  find(library, "nvrtcCompileProgram", nvrtc.compile);
  find(library, "nvrtcGetProgramLogSize", nvrtc.log_size);
  find(library, "nvrtcGetProgramLog", nvrtc.log);
  find(library, "nvrtcGetCUBINSize", nvrtc.image_size);
  find(library, "nvrtcGetCUBIN", nvrtc.image);
  find(library, "nvrtcGetErrorString", nvrtc.error);
  return nvrtc;
}

const Nvrtc& nvrtc() {
  static const Nvrtc functions = load();
  return functions;
}

void check(nvrtcResult result, const char* what) {
  if (result != NVRTC_SUCCESS) {
    throw environment_error("CUDA: {} failed: {}", what, nvrtc().error(result));
  }
}

std::string log_of(nvrtcProgram program) {
  size_t size = 0;
  check(nvrtc().log_size(program, &size), "nvrtcGetProgramLogSize");
  std::string log(size, '\0');
  check(nvrtc().log(program, log.data()), "nvrtcGetProgramLog");
  while (!log.empty() && (log.back() == '\0' || log.back() == '\n')) {
    log.pop_back();
  }
  return log;
}

} // namespace

Compiled compile_text(
    const std::string& source,
    std::string_view architecture) {
  nvrtcProgram made = nullptr;
  check(
      nvrtc().create(
          &made, source.c_str(), "zmlx_kernel.cu", 0, nullptr, nullptr),
      "nvrtcCreateProgram");
  const std::unique_ptr<_nvrtcProgram, void (*)(nvrtcProgram)> program(
      made, [](nvrtcProgram p) { nvrtc().destroy(&p); });
  const auto target = fmt::format("--gpu-architecture={}", architecture);
  const std::array options{
      target.c_str(), "--std=c++17", "--prec-div=false", "--prec-sqrt=false"};
  const auto result = nvrtc().compile(
      program.get(), static_cast<int>(options.size()), options.data());
  if (result != NVRTC_SUCCESS) {
    throw internal_error(
        "CUDA: NVRTC refuses the text of a kernel for {} ({}):\n{}\n{}",
        architecture,
        nvrtc().error(result),
        log_of(program.get()),
        source);
  }
  size_t size = 0;
  check(nvrtc().image_size(program.get(), &size), "nvrtcGetCUBINSize");
  Compiled compiled{std::string(size, '\0'), log_of(program.get())};
  check(nvrtc().image(program.get(), compiled.image.data()), "nvrtcGetCUBIN");
  return compiled;
}

std::string nvrtc_version() {
  int major = 0, minor = 0;
  check(nvrtc().version(&major, &minor), "nvrtcVersion");
  return fmt::format("{}.{}", major, minor);
}

std::string architecture_name(int capability) {
  return fmt::format("sm_{}{}", capability, capability >= 90 ? "a" : "");
}

} // namespace zmlx::backend::cuda
