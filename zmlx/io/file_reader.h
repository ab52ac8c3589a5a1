#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "zmlx/base/errors.h"

namespace zmlx::io {

/// Reads a regular file, little-endian, and never past its end:
/// each read is checked against the size that the file had when it was opened.
class FileReader {
 public:
  /// UserError when the path is not a regular file or cannot be opened.
  explicit FileReader(const std::filesystem::path& path);

  uint64_t size() const {
    return size_;
  }
  uint64_t position() const {
    return position_;
  }
  uint64_t remaining() const {
    return size_ - position_;
  }
  /// How errors call the file.
  const std::string& name() const {
    return name_;
  }

  /// The next read starts there; at most size().
  void seek(uint64_t position);

  /// `what` names the thing read: "the tensor count".
  void read(void* to, uint64_t nbytes, const char* what);

  template <typename T>
  T read(const char* what) {
    T value;
    read(&value, sizeof(T), what);
    return value;
  }

  /// `length` bytes; the length is checked before memory is taken.
  std::string read_string(uint64_t length, const char* what);

  /// The error for a file that ends too early.
  UserError ends_inside(const char* what, uint64_t needed) const;

 private:
  std::string name_;
  std::vector<char> buffer_;
  std::ifstream stream_;
  uint64_t size_ = 0;
  uint64_t position_ = 0;
};

} // namespace zmlx::io
