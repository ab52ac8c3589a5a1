#include "zmlx/backend/cuda/images.h"

#include <atomic>
#include <filesystem>
#include <optional>

#include "zmlx/backend/cuda/nvrtc.h"
#include "zmlx/base/atomic_file.h"
#include "zmlx/base/errors.h"
#include "zmlx/base/hash.h"
#include "zmlx/base/log.h"

namespace zmlx::backend::cuda {
namespace {

// Part of the key: raised when options of the compiler change.
constexpr int kForm = 1;

std::filesystem::path path_of(const Hash128& key) {
  return private_cache_directory("cuda") / (key.hex() + ".cubin");
}

/// A file is the hash of key and image, then the image.
std::string checksum(const Hash128& key, std::string_view image) {
  return Hasher().add(key).add(image).digest().hex();
}

std::optional<std::string> read_image(
    const std::filesystem::path& path,
    const Hash128& key) {
  std::error_code none;
  if (!std::filesystem::is_regular_file(path, none)) {
    return std::nullopt;
  }
  const std::string content = read_file(path);
  const size_t length = key.hex().size();
  if (content.size() <= length ||
      content.substr(0, length) != checksum(key, content.substr(length))) {
    log_debug("CUDA: {} is damaged and is compiled again", path.string());
    return std::nullopt;
  }
  return content.substr(length);
}

} // namespace

std::string image_of(
    const std::string& source,
    const std::string& architecture) {
  const auto key = Hasher()
                       .add(kForm)
                       .add(nvrtc_version())
                       .add(architecture)
                       .add(source)
                       .digest();
  try {
    if (auto image = read_image(path_of(key), key)) {
      return *image;
    }
  } catch (const EnvironmentError& error) {
    log_debug("CUDA: no images are read: {}", error.what());
  }
  auto compiled = compile_text(source, architecture);
  try {
    write_file_atomically(
        path_of(key), checksum(key, compiled.image) + compiled.image, 0600);
  } catch (const EnvironmentError& error) {
    static std::atomic<bool> said = false;
    if (!said.exchange(true)) {
      log_warn("CUDA: compiled kernels are not kept: {}", error.what());
    }
  }
  return std::move(compiled.image);
}

} // namespace zmlx::backend::cuda
