#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include "tests/io/folder_builder.h"
#include "tests/io/gguf_builder.h"
#include "tests/io/temp_folder.h"
#include "zmlx/io/safetensors.h"

namespace zmlx::io::testing {
namespace {

namespace mx = mlx::core;

struct MalformedHeader {
  const char* name;
  std::string header;
  size_t data_bytes;
  const char* expected; // in the error
};

void PrintTo(const MalformedHeader& c, std::ostream* out) {
  *out << c.name;
}

class MalformedSafetensors : public ::testing::TestWithParam<MalformedHeader> {
};

TEST_P(MalformedSafetensors, GiveOneClearError) {
  TempFolder folder;
  auto path = folder.write(
      "model.safetensors",
      safetensors_bytes(GetParam().header, GetParam().data_bytes));
  expect_user_error(
      [&] { read_safetensors_header(path); }, GetParam().expected);
  expect_user_error([&] { read_safetensors_header(path); }, path.string());
}

/// One tensor 'w' with these fields.
std::string tensor(
    const std::string& dtype,
    const std::string& shape,
    const std::string& offsets) {
  return R"({"w":{"dtype":)" + dtype + R"(,"shape":)" + shape +
      R"(,"data_offsets":)" + offsets + "}}";
}

std::string two(const std::string& first, const std::string& second) {
  auto entry = [](const std::string& offsets) {
    return R"({"dtype":"F32","shape":[2],"data_offsets":)" + offsets + "}";
  };
  return R"({"a":)" + entry(first) + R"(,"b":)" + entry(second) + "}";
}

const std::string f32 = "\"F32\"";

const MalformedHeader cases[] = {
    {"NotJson", "{]", 0, "not valid JSON"},
    {"NotAnObject", "[1,2]", 0, "must start with '{'"},
    {"LeadingSpace", "  {}", 0, "must start with '{'"},
    {"Empty", "", 0, "header length is 0"},
    {"TrailingText", "{} x", 0, "not valid JSON"},
    {"InvalidUtf8", "{\"a\xff\":{}}", 0, "not valid JSON"},
    {"NumberOutOfRange", tensor(f32, "[1e999]", "[0,4]"), 4, "not valid JSON"},
    {"Nested",
     "{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}",
     0,
     "nested deeper than 64"},
    {"DuplicateTensor",
     R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
     R"("w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
     4,
     "duplicate JSON key 'w'"},
    {"DuplicateField",
     R"({"w":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}})",
     4,
     "duplicate JSON key 'dtype'"},
    {"EntryNotAnObject", R"({"w":1})", 0, "tensor 'w': expected an object"},
    {"NoDtype",
     R"({"w":{"shape":[1],"data_offsets":[0,4]}})",
     4,
     "tensor 'w': dtype is missing"},
    {"NoShape",
     R"({"w":{"dtype":"F32","data_offsets":[0,4]}})",
     4,
     "shape is missing"},
    {"NoOffsets",
     R"({"w":{"dtype":"F32","shape":[1]}})",
     4,
     "data_offsets is missing"},
    {"DtypeUnknown",
     tensor("\"F99\"", "[1]", "[0,4]"),
     4,
     "dtype 'F99' is not supported"},
    {"DtypeF64",
     tensor("\"F64\"", "[1]", "[0,8]"),
     8,
     "dtype 'F64' is not supported"},
    {"DtypeNotText", tensor("3", "[1]", "[0,4]"), 4, "dtype must be a string"},
    {"ShapeNotAnArray",
     tensor(f32, "1", "[0,4]"),
     4,
     "shape must be an array of integers"},
    {"DimNegative",
     tensor(f32, "[-1,-1]", "[0,4]"),
     4,
     "shape must hold integers of at least 0"},
    {"DimFraction",
     tensor(f32, "[1.0]", "[0,4]"),
     4,
     "shape must hold integers of at least 0"},
    {"DimText", tensor(f32, "[\"1\"]", "[0,4]"), 4, "shape must hold integers"},
    {"DimTooLarge",
     tensor(f32, "[4294967297]", "[0,4]"),
     4,
     "dimension 4294967297 is too large"},
    {"DimsOverflow",
     tensor(f32, "[1073741824,1073741824,1073741824]", "[0,4]"),
     4,
     "its shape and dtype need more than any file has"},
    {"DimsWrapToZero",
     tensor(f32, "[1073741824,1073741824,4]", "[0,0]"),
     0,
     "its shape and dtype need more than any file has"},
    {"TooManyDims",
     tensor(f32, "[1,1,1,1,1,1,1,1,1]", "[0,4]"),
     4,
     "9 dimensions, expected at most 8"},
    {"OneOffset",
     tensor(f32, "[1]", "[0]"),
     4,
     "data_offsets must be two numbers"},
    {"OffsetsBackwards",
     tensor(f32, "[1]", "[4,0]"),
     4,
     "data_offsets must be two numbers"},
    {"OffsetNegative",
     tensor(f32, "[1]", "[-4,0]"),
     4,
     "data_offsets must hold integers of at least 0"},
    {"OffsetsWrap",
     tensor(f32, "[1]", "[18446744073709551612,18446744073709551615]"),
     4,
     "data ends at 18446744073709551615"},
    {"OffsetPastTheEnd",
     tensor(f32, "[2]", "[0,8]"),
     4,
     "data ends at 8 and the file holds 4 bytes"},
    {"SizeMismatch",
     tensor(f32, "[2]", "[0,4]"),
     4,
     "span 4 bytes, its shape and dtype need 8"},
    {"Overlap", two("[0,8]", "[4,12]"), 12, "inside the one before"},
    {"SameData", two("[0,8]", "[0,8]"), 8, "inside the one before"},
    {"Gap", two("[0,8]", "[16,24]"), 24, "after a gap from byte 8"},
    {"GapAtTheStart", tensor(f32, "[1]", "[4,8]"), 8, "after a gap"},
    {"Trailing",
     tensor(f32, "[1]", "[0,4]"),
     5,
     "1 bytes follow the last tensor"},
    {"MetadataNotAnObject",
     R"({"__metadata__":3})",
     0,
     "__metadata__ must map strings to strings"},
    {"MetadataNotText",
     R"({"__metadata__":{"a":1}})",
     0,
     "__metadata__ must map strings to strings"},
};

INSTANTIATE_TEST_SUITE_P(
    Safetensors,
    MalformedSafetensors,
    ::testing::ValuesIn(cases),
    [](const auto& info) { return std::string(info.param.name); });

TEST(SafetensorsLength, IsCheckedAgainstTheFile) {
  TempFolder folder;
  auto check = [&](uint64_t length, const char* expected) {
    auto path = folder.write("x.safetensors", le(length) + "{}");
    expect_user_error([&] { read_safetensors_header(path); }, expected);
  };
  check(3, "truncated: the header at byte 8 needs 3 bytes");
  check(99'999'999, "truncated: the header");
  check(100'000'000, "header length is 100000000, expected 2 to");
  check(uint64_t{1} << 60, "header length is 1152921504606846976");
  check(UINT64_MAX, "header length is 18446744073709551615");
}

TEST(SafetensorsHeader, ReadsWhatIsRight) {
  TempFolder folder;
  auto path = folder.write(
      "x.safetensors",
      safetensors_bytes(
          R"({"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},)"
          R"("empty":{"dtype":"F32","shape":[0,7],"data_offsets":[4,4]},)"
          R"("scalar":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}   )",
          16));
  auto tensors = read_safetensors_header(path);
  ASSERT_EQ(tensors.size(), 3u);
  EXPECT_EQ(tensors[0].name, "scalar");
  EXPECT_TRUE(tensors[0].shape.empty());
  EXPECT_EQ(tensors[1].name, "empty");
  EXPECT_EQ(tensors[2].name, "b");
  EXPECT_EQ(tensors[2].shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(tensors[2].begin, 4u);
  EXPECT_EQ(tensors[2].end, 16u);
}

TEST(TruncatedSafetensors, EveryLengthIsAnError) {
  auto bytes = FolderBuilder().files.begin()->second;
  TempFolder folder;
  for (size_t length = 0; length < bytes.size(); length++) {
    auto path = folder.write("x.safetensors", bytes.substr(0, length));
    EXPECT_THROW(read_safetensors_header(path), UserError)
        << length << " bytes";
  }
}

// What passes our checks must be safe for MLX: whatever one byte of the header
// says, the file loads or gives a UserError.
TEST(DamagedSafetensors, EveryHeaderByteIsSafe) {
  auto bytes = FolderBuilder().files.begin()->second;
  auto header_size = bytes.rfind('}');
  TempFolder folder;
  size_t errors = 0;
  for (size_t i = 0; i < header_size; i++) {
    for (char value : {'\0', '0', '9', '-', '"', ']', '\xff'}) {
      auto damaged = bytes;
      damaged[i] = value;
      auto path = folder.write("x.safetensors", damaged);
      try {
        read_safetensors_header(path);
      } catch (const UserError&) {
        errors++;
        continue;
      }
      for (auto& [name, array] : mx::load_safetensors(path.string()).first) {
        mx::eval(array);
      }
    }
  }
  EXPECT_GT(errors, header_size);
}

} // namespace
} // namespace zmlx::io::testing
