#include "zmlx/base/atomic_file.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "zmlx/base/errors.h"
#include "zmlx/base/settings.h"

namespace zmlx {
namespace {

namespace fs = std::filesystem;

EnvironmentError failed(const char* what, const fs::path& path) {
  return environment_error(
      "cannot {} {}: {}", what, path.string(), std::strerror(errno));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) {
      close(fd_);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const {
    return fd_;
  }

 private:
  int fd_;
};

// Removes the temporary unless it became the file.
class Temporary {
 public:
  explicit Temporary(std::string path) : path_(std::move(path)) {}
  ~Temporary() {
    if (!path_.empty()) {
      unlink(path_.c_str());
    }
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  void keep() {
    path_.clear();
  }

 private:
  std::string path_;
};

void write_all(int fd, std::string_view content, const fs::path& path) {
  while (!content.empty()) {
    ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written < 0) {
      throw failed("write", path);
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
}

fs::path directory_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

} // namespace

void make_private_directory(const fs::path& path) {
  std::error_code error;
  if (auto parent = path.parent_path(); !parent.empty()) {
    fs::create_directories(parent, error);
    if (error) {
      throw environment_error(
          "cannot make directory {}: {}", parent.string(), error.message());
    }
  }
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    throw failed("make directory", path);
  }
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) {
    throw failed("look at", path);
  }
  if (!S_ISDIR(info.st_mode)) {
    throw environment_error(
        "{}: expected a directory, found something else", path.string());
  }
  if (info.st_uid != geteuid()) {
    throw environment_error(
        "{}: expected a directory of user {}, it belongs to user {}",
        path.string(),
        geteuid(),
        info.st_uid);
  }
  if (info.st_mode & (S_IWGRP | S_IWOTH)) {
    throw environment_error(
        "{}: others may write to this directory (mode {:o}), so what it holds "
        "is not used; `chmod 700` it if it is yours",
        path.string(),
        info.st_mode & 07777);
  }
}

fs::path private_cache_directory(std::string_view name) {
  auto path = settings().cache_dir;
  make_private_directory(path);
  if (!name.empty()) {
    path /= name;
    make_private_directory(path);
  }
  return path;
}

void write_file_atomically(
    const fs::path& path,
    std::string_view content,
    unsigned mode) {
  // The rename would put a file in the place of a device, a pipe or a link.
  struct stat old {};
  if (lstat(path.c_str(), &old) == 0 && !S_ISREG(old.st_mode)) {
    throw environment_error(
        "cannot write {}: expected a regular file or none, found something "
        "else",
        path.string());
  }
  auto name = path.string() + ".XXXXXX";
  Descriptor file(mkostemp(name.data(), O_CLOEXEC));
  if (file.get() < 0) {
    throw failed("write", path);
  }
  Temporary temporary(name);
  write_all(file.get(), content, path);
  if (fchmod(file.get(), mode) != 0 || fsync(file.get()) != 0 ||
      rename(name.c_str(), path.c_str()) != 0) {
    throw failed("write", path);
  }
  temporary.keep();
  // The rename itself is durable only once the directory is written.
  Descriptor directory(
      open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || fsync(directory.get()) != 0) {
    throw failed("write", directory_of(path));
  }
}

std::string read_file(const fs::path& path) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (file.get() < 0 || fstat(file.get(), &info) != 0) {
    throw failed("read", path);
  }
  std::string content;
  content.reserve(static_cast<std::size_t>(info.st_size));
  char block[1 << 16];
  while (true) {
    ssize_t got = read(file.get(), block, sizeof(block));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      throw failed("read", path);
    }
    if (got == 0) {
      return content;
    }
    content.append(block, static_cast<std::size_t>(got));
  }
}

} // namespace zmlx
