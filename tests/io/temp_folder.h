#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "zmlx/base/errors.h"

namespace zmlx::io::testing {

/// A new folder, removed with all that is in it.
class TempFolder {
 public:
  TempFolder() {
    auto pattern =
        (std::filesystem::temp_directory_path() / "zmlx-io-XXXXXX").string();
    if (!mkdtemp(pattern.data())) {
      throw std::runtime_error("mkdtemp failed: " + pattern);
    }
    path_ = pattern;
  }
  ~TempFolder() {
    std::filesystem::remove_all(path_);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::filesystem::path& path() const {
    return path_;
  }
  std::filesystem::path write(const std::string& name, std::string_view bytes)
      const {
    // A new file each time: some file systems write a truncated one to disk
    // when it is closed.
    std::filesystem::remove(path_ / name);
    std::ofstream out(path_ / name, std::ios::binary);
    out << bytes;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

/// `call` throws a UserError whose message holds `text`.
template <typename Call>
void expect_user_error(Call call, const std::string& text) {
  try {
    call();
  } catch (const UserError& error) {
    EXPECT_NE(std::string_view(error.what()).find(text), std::string::npos)
        << "expected: " << text << "\n     got: " << error.what();
    return;
  }
  ADD_FAILURE() << "no error, expected: " << text;
}

} // namespace zmlx::io::testing
