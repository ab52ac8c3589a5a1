#include "zmlx/io/gguf_load.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "zmlx/base/errors.h"
#include "zmlx/io/file_reader.h"

namespace zmlx::io {

namespace {

constexpr size_t block = size_t{1} << 20;

/// A copy in memory with a header of our own that holds nothing but the
/// tensors. MLX opens GGUF files for writing, which fails for a file that may
/// only be read, and steps over 64-bit floats of the metadata wrongly: such
/// files it reads from this copy.
class MemoryCopy {
 public:
  MemoryCopy(const std::filesystem::path& path, const GgufHeader& header)
      : fd_(memfd_create("zmlx-gguf", MFD_CLOEXEC)) {
    if (fd_ < 0) {
      throw failed("memfd_create");
    }
    try {
      write_all(header_bytes(header));
      copy_data(path, header.data_offset);
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

  static std::string header_bytes(const GgufHeader& header) {
    constexpr uint32_t version = 3, uint32_type = 4;
    std::string out = "GGUF";
    put(out, version);
    put<uint64_t>(out, header.tensors.size());
    put<uint64_t>(out, 1);
    put_text(out, "general.alignment");
    put(out, uint32_type);
    put(out, static_cast<uint32_t>(header.alignment));
    for (const auto& tensor : header.tensors) {
      put_text(out, tensor.name);
      put(out, static_cast<uint32_t>(tensor.shape.size()));
      std::for_each(tensor.shape.rbegin(), tensor.shape.rend(), [&](auto dim) {
        put(out, static_cast<uint64_t>(dim));
      });
      put(out, tensor.type);
      put(out, tensor.offset - header.data_offset);
    }
    auto alignment = header.alignment;
    out.resize((out.size() + alignment - 1) / alignment * alignment);
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

  void copy_data(const std::filesystem::path& path, uint64_t offset) {
    FileReader file(path);
    std::string bytes(block, '\0');
    for (auto skip = offset; skip > 0;) {
      auto n = std::min<uint64_t>(skip, block);
      file.read(bytes.data(), n, "the header");
      skip -= n;
    }
    while (file.remaining() > 0) {
      auto n = std::min<uint64_t>(file.remaining(), block);
      file.read(bytes.data(), n, "the tensors");
      write_all({bytes.data(), n});
    }
  }

  int fd_;
};

} // namespace

Weights load_gguf_tensors(
    const std::filesystem::path& path,
    const GgufHeader& header) {
  std::optional<MemoryCopy> copy;
  if (header.has_float64 || access(path.c_str(), W_OK) != 0) {
    copy.emplace(path, header);
  }
  try {
    return mx::load_gguf(copy ? copy->path() : path.string()).first;
  } catch (const std::exception& error) {
    throw user_error("{}: MLX cannot load it: {}", path.string(), error.what());
  }
}

} // namespace zmlx::io
