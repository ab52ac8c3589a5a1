#include "zmlx/io/gguf_load.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "zmlx/base/errors.h"
#include "zmlx/io/file_reader.h"
#include "zmlx/io/gguf_decode.h"
#include "zmlx/io/gguf_types.h"

namespace zmlx::io {

namespace {

constexpr size_t block = size_t{1} << 20;

/// Some tensors of a GGUF file, copied into memory under a header of our own
/// that holds nothing else. MLX opens GGUF files for writing, which fails for
/// a file that may only be read, and steps over 64-bit floats of the metadata
/// wrongly: such files it reads from this copy, as it does files with tensors
/// that it should not decode.
class MemoryCopy {
 public:
  MemoryCopy(
      FileReader& file,
      const std::vector<GgufTensor>& tensors,
      uint64_t alignment)
      : fd_(memfd_create("zmlx-gguf", MFD_CLOEXEC)) {
    if (fd_ < 0) {
      throw failed("memfd_create");
    }
    try {
      write_all(header_bytes(tensors, alignment));
      for (const auto& tensor : tensors) {
        copy_data(file, tensor);
        write_all(std::string(padding(tensor.nbytes, alignment), '\0'));
      }
    } catch (...) {
      close(fd_);
      throw;
    }
  }
  ~MemoryCopy() {
    close(fd_);
  }
  MemoryCopy(const MemoryCopy&) = delete;
  MemoryCopy& operator=(const MemoryCopy&) = delete;

  std::string path() const {
    return fmt::format("/proc/self/fd/{}", fd_);
  }

 private:
  static EnvironmentError failed(const char* what) {
    return environment_error(
        "copying a GGUF file into memory: {}: {}", what, std::strerror(errno));
  }

  template <typename T>
  static void put(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }

  static void put_text(std::string& out, std::string_view text) {
    put<uint64_t>(out, text.size());
    out += text;
  }

  static uint64_t padding(uint64_t size, uint64_t alignment) {
    return (alignment - size % alignment) % alignment;
  }

  static std::string header_bytes(
      const std::vector<GgufTensor>& tensors,
      uint64_t alignment) {
    constexpr uint32_t version = 3, uint32_type = 4;
    std::string out = "GGUF";
    put(out, version);
    put<uint64_t>(out, tensors.size());
    put<uint64_t>(out, 1);
    put_text(out, "general.alignment");
    put(out, uint32_type);
    put(out, static_cast<uint32_t>(alignment));
    uint64_t offset = 0;
    for (const auto& tensor : tensors) {
      put_text(out, tensor.name);
      put(out, static_cast<uint32_t>(tensor.shape.size()));
      std::for_each(tensor.shape.rbegin(), tensor.shape.rend(), [&](auto dim) {
        put(out, static_cast<uint64_t>(dim));
      });
      put(out, tensor.type);
      put(out, offset);
      offset += tensor.nbytes + padding(tensor.nbytes, alignment);
    }
    out.resize(out.size() + padding(out.size(), alignment));
    return out;
  }

  void write_all(std::string_view bytes) {
    while (!bytes.empty()) {
      auto n = write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno != EINTR) {
        throw failed("write");
      }
      bytes.remove_prefix(n > 0 ? static_cast<size_t>(n) : 0);
    }
  }

  void copy_data(FileReader& file, const GgufTensor& tensor) {
    file.seek(tensor.offset);
    std::string bytes(std::min<uint64_t>(tensor.nbytes, block), '\0');
    for (auto left = tensor.nbytes; left > 0;) {
      auto n = std::min<uint64_t>(left, block);
      file.read(bytes.data(), n, "a tensor");
      write_all({bytes.data(), n});
      left -= n;
    }
  }

  int fd_;
};

} // namespace

Weights load_gguf_tensors(
    const std::filesystem::path& path,
    const GgufHeader& header) {
  FileReader file(path);
  Weights weights;
  std::vector<GgufTensor> for_mlx;
  for (const auto& tensor : header.tensors) {
    if (find_gguf_type(tensor.type)->reader == GgufReader::mlx) {
      for_mlx.push_back(tensor);
    } else {
      decode_gguf_tensor(file, tensor, weights);
    }
  }
  std::optional<MemoryCopy> copy;
  if (for_mlx.size() < header.tensors.size() || header.has_float64 ||
      access(path.c_str(), W_OK) != 0) {
    copy.emplace(file, for_mlx, header.alignment);
  }
  try {
    weights.merge(mx::load_gguf(copy ? copy->path() : path.string()).first);
  } catch (const std::exception& error) {
    throw user_error("{}: MLX cannot load it: {}", path.string(), error.what());
  }
  return weights;
}

} // namespace zmlx::io
