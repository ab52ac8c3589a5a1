#include "zmlx/base/atomic_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "zmlx/base/errors.h"

namespace zmlx {
namespace {

namespace fs = std::filesystem;

class AtomicFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "zmlx_test_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override {
    fs::remove_all(root_);
  }

  std::size_t files() const {
    return std::distance(fs::directory_iterator(root_), {});
  }

  fs::path root_;
};

std::string refusal(const fs::path& path) {
  try {
    make_private_directory(path);
  } catch (const EnvironmentError& e) {
    return e.what();
  }
  return "";
}

mode_t mode_of(const fs::path& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0);
  return info.st_mode & 07777;
}

TEST_F(AtomicFile, DirectoryIsMadePrivate) {
  auto path = root_ / "a" / "b";
  make_private_directory(path);
  EXPECT_EQ(mode_of(path), 0700u);
  make_private_directory(path); // again: it is there
}

TEST_F(AtomicFile, DirectoryOpenToOthersIsRefused) {
  auto path = root_ / "open";
  fs::create_directory(path);
  for (mode_t mode : {0770, 0702, 01777}) {
    chmod(path.c_str(), mode);
    EXPECT_NE(refusal(path).find("others may write"), std::string::npos);
  }
  chmod(path.c_str(), 0755);
  EXPECT_EQ(refusal(path), "");
}

TEST_F(AtomicFile, DirectoryOfAnotherIsRefused) {
  auto path = root_ / "foreign";
  make_private_directory(path);
  if (chown(path.c_str(), 12345, 12345) != 0) {
    GTEST_SKIP() << "only root may give a directory away";
  }
  EXPECT_NE(refusal(path).find("belongs to user 12345"), std::string::npos);
}

TEST_F(AtomicFile, LinksAndFilesAreNoDirectories) {
  fs::create_directory(root_ / "real");
  fs::create_directory_symlink(root_ / "real", root_ / "link");
  EXPECT_NE(refusal(root_ / "link").find("something else"), std::string::npos);
  write_file_atomically(root_ / "file", "x");
  EXPECT_NE(refusal(root_ / "file").find("something else"), std::string::npos);
  EXPECT_NE(
      refusal(root_ / "file" / "below").find("cannot make"), std::string::npos);
}

TEST_F(AtomicFile, WritesAndReplaces) {
  auto path = root_ / "f";
  std::string content(100000, '\0');
  content[77777] = 'x';
  write_file_atomically(path, "old");
  write_file_atomically(path, content, 0600);
  EXPECT_EQ(read_file(path), content);
  EXPECT_EQ(mode_of(path), 0600u);
  EXPECT_EQ(files(), 1u); // no temporary is left
}

TEST_F(AtomicFile, FailureLeavesNothingBehind) {
  fs::create_directory(root_ / "d");
  write_file_atomically(root_ / "d" / "inside", "x");
  // A directory that holds something cannot be replaced by a file.
  EXPECT_THROW(write_file_atomically(root_ / "d", "y"), EnvironmentError);
  EXPECT_EQ(files(), 1u);
  EXPECT_EQ(read_file(root_ / "d" / "inside"), "x");
  EXPECT_THROW(
      write_file_atomically(root_ / "no" / "f", "y"), EnvironmentError);
}

TEST_F(AtomicFile, OnlyRegularFilesAreReplaced) {
  auto pipe = root_ / "pipe", link = root_ / "link";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  fs::create_symlink(pipe, link);
  for (const auto& path : {pipe, link}) {
    EXPECT_THROW(write_file_atomically(path, "x"), EnvironmentError);
  }
  EXPECT_TRUE(fs::is_fifo(pipe));
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(files(), 2u);
}

TEST_F(AtomicFile, ReadersSeeOneWholeContent) {
  auto path = root_ / "f";
  write_file_atomically(path, std::string(5000, 'a'));
  std::vector<std::jthread> writers;
  for (char c : {'a', 'b', 'c'}) {
    writers.emplace_back([&, c] {
      for (int i = 0; i < 20; ++i) {
        write_file_atomically(path, std::string(5000, c));
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    auto content = read_file(path);
    ASSERT_EQ(content, std::string(5000, content[0]));
  }
}

TEST_F(AtomicFile, UnreadableFileIsNamed) {
  auto path = root_ / "absent";
  try {
    read_file(path);
    FAIL();
  } catch (const EnvironmentError& e) {
    EXPECT_EQ(
        std::string(e.what()),
        "cannot read " + path.string() + ": No such file or directory");
  }
  EXPECT_THROW(read_file(root_), EnvironmentError); // a directory
}

} // namespace
} // namespace zmlx
