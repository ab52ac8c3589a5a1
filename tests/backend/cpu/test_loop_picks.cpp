// Windows of places, and loops that read through them.
#include <sys/mman.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/backend/cpu/block_operations.h"
#include "tests/backend/cpu/loops.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Type;

/// Which place each place picks, of a row of `length`.
struct Pattern {
  std::string name;
  std::function<int(int i, int length)> place;
};

std::vector<Pattern> patterns() {
  return {
      {"itself", [](int i, int) { return i; }},
      {"5 before, where some are outside", [](int i, int) { return i - 5; }},
      {"20 after, where some are outside", [](int i, int) { return i + 20; }},
      {"its pair", [](int i, int) { return i ^ 1; }},
      {"half", [](int i, int) { return i / 2; }},
      {"the first half again",
       [](int i, int n) { return i % std::max(1, n / 2); }},
      {"the other half",
       [](int i, int n) { return i < n / 2 ? i + n / 2 : i - n / 2; }},
      {"twice", [](int i, int) { return 2 * i; }},
      {"within 16, backwards", [](int i, int) { return i ^ 15; }},
      {"within 32, backwards", [](int i, int) { return i ^ 31; }},
      {"either end", [](int i, int n) { return i % 2 == 0 ? i / 32 : n - 1; }},
      {"nowhere", [](int, int) { return -1; }},
      {"the last", [](int, int n) { return n - 1; }},
  };
}

std::vector<int32_t> places_of(const Pattern& pattern, int width, int length) {
  std::vector<int32_t> places;
  for (int i = 0; i < width; ++i) {
    places.push_back(pattern.place(i, length));
  }
  return places;
}

void expect_windows(
    const PickWindows& found,
    const std::vector<int32_t>& places,
    int length) {
  const auto& shape = found.shape;
  bool everywhere = true;
  ASSERT_EQ(found.windows.size(), (places.size() + 15) / 16);
  for (size_t i = 0; i < places.size(); ++i) {
    const PickWindow& window = found.windows[i / 16];
    const auto k = static_cast<int>(i % 16);
    const bool exists = places[i] >= 0 && places[i] < length;
    everywhere = everywhere && exists;
    ASSERT_EQ(window.exists >> k & 1, exists) << i;
    if (exists) {
      ASSERT_EQ(picked_by(window, shape, k), places[i]) << i;
    }
    if (!shape.in_order) {
      ASSERT_LT(window.lanes[k], shape.two ? 32 : 16);
      ASSERT_GE(std::min(window.first, window.second), 0);
      ASSERT_EQ(shape.narrow, length < 16);
      ASSERT_LE(
          std::max(window.first, window.second) + 16, std::max(length, 16));
      ASSERT_EQ(window.loaded, (1 << std::min(length, 16)) - 1);
    }
  }
  EXPECT_EQ(shape.everywhere, everywhere);
  EXPECT_FALSE(shape.two && (shape.in_order || shape.narrow));
}

TEST(PickWindows, GiveThePlacesTheyAreMadeOf) {
  int found = 0;
  for (const auto& pattern : patterns()) {
    for (int width : {1, 2, 15, 16, 17, 31, 32, 33, 64, 96, 100}) {
      for (int length : {1, 15, 16, 17, 31, 32, 40, 64, 96, 100}) {
        SCOPED_TRACE(
            testing::Message()
            << pattern.name << ", " << width << " of " << length);
        const auto places = places_of(pattern, width, length);
        if (const auto windows = find_windows(places, length)) {
          expect_windows(*windows, places, length);
          ++found;
        }
      }
    }
  }
  EXPECT_GT(found, 900);
}

PickShape shape_of(const std::string& name, int width, int length) {
  for (const auto& pattern : patterns()) {
    if (pattern.name == name) {
      return find_windows(places_of(pattern, width, length), length)
          .value()
          .shape;
    }
  }
  ADD_FAILURE() << name;
  return {};
}

TEST(PickWindows, AreNoLargerThanTheyMustBe) {
  const PickShape run{false, true, true}, lanes{false, false, true};
  EXPECT_EQ(shape_of("itself", 100, 100), run);
  EXPECT_EQ(shape_of("itself", 3, 3), run); // read under a mask
  EXPECT_EQ(shape_of("the other half", 64, 64), run);
  EXPECT_EQ(shape_of("the first half again", 96, 96), run);
  EXPECT_EQ(shape_of("its pair", 64, 64), lanes);
  EXPECT_EQ(shape_of("half", 64, 32), lanes);
  EXPECT_EQ(shape_of("twice", 32, 64), (PickShape{true, false, true}));
  EXPECT_EQ(
      shape_of("5 before, where some are outside", 64, 64),
      (PickShape{false, true, false}));
}

TEST(PickWindows, AreRefusedWherePlacesLieApart) {
  const std::vector<int32_t> apart = {0, 20, 40}, two = {0, 40, 41};
  EXPECT_FALSE(find_windows(apart, 100));
  EXPECT_TRUE(find_windows(two, 100));
  EXPECT_TRUE(find_windows({}, 0));
}

TEST(LoopPicks, EveryTypeAndPattern) {
  ZMLX_NEEDS_LOOPS();
  constexpr int kWidth = 1024;
  for (const Type stored :
       {Type::F32,
        Type::BF16,
        Type::F16,
        Type::I32,
        Type::U8,
        Type::I8,
        Type::U16,
        Type::I16,
        Type::Bool}) {
    for (const auto& pattern : patterns()) {
      const auto places = places_of(pattern, kWidth, kWidth);
      const auto found = find_windows(places, kWidth);
      ASSERT_TRUE(found) << pattern.name;
      SCOPED_TRACE(
          testing::Message() << pattern.name << ", " << lang::name_of(stored));
      LoopMaker make;
      make.store(make.picked(stored, found->shape));
      Memories memories;
      std::vector<unsigned char> row(kWidth * lang::size_of(stored));
      std::mt19937 random(7);
      for (auto& byte : row) {
        byte = static_cast<unsigned char>(
            stored == Type::Bool ? random() & 1 : random() >> 8);
      }
      memories.add(row);
      memories.add(found->windows);
      memories.add(kWidth * 4, size_t{12});
      check_lengths(make.loop, memories);
      ASSERT_FALSE(HasFailure());
    }
  }
}

TEST(LoopPicks, RowsShorterThanAVector) {
  ZMLX_NEEDS_LOOPS();
  for (const Type stored : {Type::F32, Type::BF16, Type::U8}) {
    for (int length = 1; length < 16; ++length) {
      std::vector<int32_t> places;
      for (int i = 0; i < 1000; ++i) {
        places.push_back((i ^ 1) % (length + 1));
      }
      const auto found = find_windows(places, length);
      ASSERT_TRUE(found);
      LoopMaker make;
      make.store(make.picked(stored, found->shape));
      Memories memories;
      std::vector<unsigned char> row(length * lang::size_of(stored), 0x41);
      memories.add(row);
      memories.add(found->windows);
      memories.add(size_t{4000}, size_t{0});
      check_lengths(make.loop, memories);
      ASSERT_FALSE(HasFailure()) << length;
    }
  }
}

/// Memory between pages that may not be touched.
class GuardedPages {
 public:
  GuardedPages()
      : page_(static_cast<size_t>(sysconf(_SC_PAGESIZE))),
        all_(static_cast<unsigned char*>(mmap(
            nullptr,
            3 * page_,
            PROT_NONE,
            MAP_PRIVATE | MAP_ANONYMOUS,
            -1,
            0))) {
    EXPECT_EQ(mprotect(begin(), page_, PROT_READ | PROT_WRITE), 0);
    std::fill_n(begin(), page_, 0x41);
  }
  GuardedPages(const GuardedPages&) = delete;
  GuardedPages& operator=(const GuardedPages&) = delete;
  ~GuardedPages() {
    munmap(all_, 3 * page_);
  }
  unsigned char* begin() const {
    return all_ + page_;
  }
  unsigned char* end() const {
    return begin() + page_;
  }

 private:
  size_t page_;
  unsigned char* all_;
};

TEST(LoopPicks, NothingBesideTheRowIsRead) {
  ZMLX_NEEDS_LOOPS();
  const GuardedPages pages;
  std::vector<uint32_t> out(70);
  int count = 0;
  for (const Type stored : {Type::F32, Type::BF16, Type::U8}) {
    for (const auto& pattern : patterns()) {
      for (int n = 1; n <= 70; ++n) {
        const auto found = find_windows(places_of(pattern, n, n), n);
        if (!found) {
          continue;
        }
        LoopMaker make;
        make.store(make.picked(stored, found->shape));
        const auto code = assemble(make.loop);
        ASSERT_TRUE(code);
        unsigned char* const last = pages.end() - n * lang::size_of(stored);
        for (unsigned char* row : {pages.begin(), last}) {
          void* memories[] = {
              row, const_cast<PickWindow*>(found->windows.data()), out.data()};
          code->run(memories, n);
          ++count;
          const auto& first = found->windows[0];
          uint32_t element = 0; // what all are
          find_load(stored, true)(&element, pages.begin(), 1, 1);
          EXPECT_EQ(out[0], (first.exists & 1) != 0 ? element : 0);
        }
      }
    }
  }
  EXPECT_GT(count, 4000);
}

} // namespace
} // namespace zmlx::backend::cpu
