#include "zmlx/backend/plugin.h"

#include <dlfcn.h>

#include <filesystem>

#include "zmlx/base/errors.h"
#include "zmlx/base/log.h"

namespace zmlx::backend {
namespace {

constexpr const char* kLibrary = "libzmlx_cuda.so";

/// Of the library or program that this text is part of. For a program the
/// loader says the name by which it was called, which may be relative.
std::filesystem::path own_folder() {
  Dl_info info{};
  std::filesystem::path path;
  if (dladdr(reinterpret_cast<const void*>(&own_folder), &info) &&
      info.dli_fname) {
    path = info.dli_fname;
  }
  std::error_code none;
  if (!path.is_absolute()) {
    path = std::filesystem::read_symlink("/proc/self/exe", none);
  }
  return std::filesystem::canonical(path, none).parent_path();
}

void* open_library() {
  const auto folder = own_folder();
  for (const auto& path :
       {folder / kLibrary, folder.parent_path() / "lib" / kLibrary}) {
    std::error_code none;
    if (!std::filesystem::exists(path, none)) {
      continue;
    }
    if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
      return library;
    }
    log_warn("kernels run as MLX operations on the GPU: {}", dlerror());
    return nullptr;
  }
  log_debug("no {} in {} or the lib beside it", kLibrary, folder.string());
  return nullptr;
}

const Peer* open_cuda_peer() {
  if (!mx::cu::is_available()) {
    return nullptr;
  }
  void* library = open_library();
  if (!library) {
    return nullptr;
  }
  const auto peer = reinterpret_cast<decltype(&zmlx_plugin_peer)>(
      dlsym(library, "zmlx_plugin_peer"));
  try {
    const Peer* found = peer ? peer(kPluginInterface) : nullptr;
    if (!found) {
      log_warn(
          "kernels run as MLX operations on the GPU: {} is of another build",
          kLibrary);
    }
    return found;
  } catch (const EnvironmentError& error) {
    log_warn("kernels run as MLX operations on the GPU: {}", error.what());
    return nullptr;
  }
}

} // namespace

const Peer* cuda_peer() {
  static const Peer* const peer = open_cuda_peer();
  return peer;
}

} // namespace zmlx::backend
