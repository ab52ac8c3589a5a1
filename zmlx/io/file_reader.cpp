#include "zmlx/io/file_reader.h"

#include <system_error>

namespace zmlx::io {

namespace fs = std::filesystem;

FileReader::FileReader(const fs::path& path)
    : name_(path.string()), buffer_(1 << 16) {
  std::error_code error;
  auto status = fs::status(path, error);
  if (!fs::exists(status)) {
    throw user_error("{}: no such file", name_);
  }
  if (!fs::is_regular_file(status)) {
    throw user_error("{}: expected a regular file", name_);
  }
  stream_.rdbuf()->pubsetbuf(
      buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
  stream_.open(path, std::ios::binary);
  if (!stream_) {
    throw user_error("{}: cannot be opened: {}", name_, std::strerror(errno));
  }
  size_ = fs::file_size(path, error);
  if (error) {
    throw user_error("{}: cannot be read: {}", name_, error.message());
  }
}

UserError FileReader::ends_inside(const char* what, uint64_t needed) const {
  return user_error(
      "{}: truncated: {} at byte {} needs {} bytes and the file has {} left",
      name_,
      what,
      position_,
      needed,
      remaining());
}

void FileReader::seek(uint64_t position) {
  if (position > size_) {
    throw user_error(
        "{}: truncated: byte {} of a file of {}", name_, position, size_);
  }
  stream_.seekg(static_cast<std::streamoff>(position));
  position_ = position;
}

void FileReader::read(void* to, uint64_t nbytes, const char* what) {
  if (nbytes > remaining()) {
    throw ends_inside(what, nbytes);
  }
  stream_.read(static_cast<char*>(to), static_cast<std::streamsize>(nbytes));
  if (!stream_) {
    throw user_error("{}: reading {} failed", name_, what);
  }
  position_ += nbytes;
}

std::string FileReader::read_string(uint64_t length, const char* what) {
  if (length > remaining()) {
    throw ends_inside(what, length);
  }
  std::string text(length, '\0');
  read(text.data(), length, what);
  return text;
}

} // namespace zmlx::io
