// Sequences on the test peer: a right one gives the bits that its items give
// one after the other, and what breaks the rules shows.

#include <gtest/gtest.h>

#include "tests/peer/peer.h"
#include "tests/peer/schedule.h"
#include "tests/peer/transfer.h"
#include "zmlx/backend/order.h"
#include "zmlx/base/errors.h"
#include "zmlx/lang/lower.h"

namespace zmlx::test_peer {
namespace {

using backend::Reads;
using backend::SequenceItem;
using backend::View;
using lang::Expr;
using lang::Type;

lang::Program program_of(const lang::Body& body, std::vector<Type> types) {
  std::string why;
  auto program = lang::lower(body, types, &why);
  EXPECT_TRUE(program) << why;
  return *program;
}

/// One output from element inputs of float32.
lang::Program map(int inputs, const Expr& value) {
  lang::Body body;
  for (int i = 0; i < inputs; ++i) {
    body.inputs.push_back({"in" + std::to_string(i)});
  }
  body.outputs.push_back({"out", value});
  return program_of(body, std::vector<Type>(inputs, Type::F32));
}

/// Scratch memory of float32 rows of four.
class SequenceOfMaps : public testing::Test {
 protected:
  static constexpr int kRows = 8;

  View row(int number) const {
    return dense_view(scratch_.address + 16 * number, Type::F32, {4});
  }
  static SequenceItem
  item(lang::Program program, std::vector<View> inputs, View output) {
    return {compile(program), std::move(inputs), std::vector<View>{output}, {}};
  }
  void set(backend::Address at, std::vector<float> values) {
    queue_->copy_in(at, values.data(), 4 * values.size());
  }
  std::vector<float> get(const View& view) {
    std::vector<float> values(4);
    queue_->copy_out(values.data(), view.data, 16);
    return values;
  }
  std::vector<float> run(
      std::vector<SequenceItem> items,
      std::vector<View> kept) {
    const View last = kept.back();
    auto sequence = instance().sequence(std::move(items), scratch_, kept);
    queue_->run(*sequence);
    return get(last);
  }

  /// a = x + 1; b = 2 a; c = a + b; d = b c in the place of a; e = d - x.
  std::vector<SequenceItem> chain() const {
    const auto x = lang::input(0), y = lang::input(1);
    const View in = dense_view(given_.address, Type::F32, {4});
    return {
        item(map(1, x + 1.0), {in}, row(0)),
        item(map(1, 2.0 * x), {row(0)}, row(1)),
        item(map(2, x + y), {row(0), row(1)}, row(2)),
        item(map(2, x * y), {row(1), row(2)}, row(0)),
        item(map(2, x - y), {row(0), in}, row(3))};
  }

  backend::Memory scratch_ = instance().allocate(kRows * 16);
  backend::Memory given_ = instance().allocate(16);
  std::unique_ptr<backend::Queue> queue_ = instance().queue();
};

TEST_F(SequenceOfMaps, ARightOneGivesWhatItsItemsGiveOneByOne) {
  set(given_.address, {0, 1, 2, 3});
  std::vector<float> want;
  for (float x : {0, 1, 2, 3}) {
    want.push_back(2 * (x + 1) * (3 * (x + 1)) - x);
  }
  EXPECT_EQ(run(chain(), {row(3)}), want);
  EXPECT_EQ(run(chain(), {row(3)}), want); // and again
}

TEST_F(SequenceOfMaps, TwoItemsInTheWrongOrderChangeTheAnswer) {
  set(given_.address, {0, 1, 2, 3});
  const auto want = run(chain(), {row(3)});
  auto wrong = chain();
  std::swap(wrong[0], wrong[1]); // row 0 is read before it is written
  const auto got = run(std::move(wrong), {row(3)});
  EXPECT_TRUE(std::isnan(got[0])) << got[0];
}

TEST_F(SequenceOfMaps, HintsChangeNothing) {
  set(given_.address, {0, 1, 2, 3});
  const auto want = run(chain(), {row(3)});
  auto hinted = chain();
  for (auto& i : hinted) {
    i.hints = {.group = 1, .tail_of = 0}; // not even true
  }
  EXPECT_EQ(run(std::move(hinted), {row(3)}), want);
}

TEST_F(SequenceOfMaps, OnlyWhatIsKeptOutlivesTheRun) {
  set(given_.address, {0, 1, 2, 3});
  run(chain(), {row(3)});
  EXPECT_TRUE(std::isnan(get(row(0))[0]));
  EXPECT_TRUE(std::isnan(get(row(7))[0]));
}

// A step appends a row and reads all of it; who claims that it reads older rows
// only, and is no attention, gets what was there before.
TEST_F(SequenceOfMaps, AFalseClaimToReadEarlyChangesTheAnswer) {
  set(given_.address, {5, 5, 5, 5});
  const auto x = lang::input(0);
  const auto cell = instance().allocate(4);
  const int32_t place = 1;
  queue_->copy_in(cell.address, &place, 4);
  const auto cache = instance().allocate(3 * 16);
  View appended = dense_view(cache.address, Type::F32, {4});
  appended.at = cell.address;
  appended.at_stride = 4;
  appended.places = 3;
  const View second = dense_view(cache.address + 16, Type::F32, {4});
  const auto program = map(1, x + 1.0);
  const auto answer = [&](Reads reads) {
    set(second.data, {1, 1, 1, 1});
    SequenceItem reader{
        std::make_shared<Executable>(program, backend::Effects{{reads}}),
        {second},
        {row(0)},
        {}};
    const View in = dense_view(given_.address, Type::F32, {4});
    return run({item(map(1, x * 2.0), {in}, appended), reader}, {row(0)})[0];
  };
  EXPECT_EQ(answer(Reads::InOrder), 11);
  EXPECT_EQ(answer(Reads::Early), 11); // what is written is read after that
  EXPECT_EQ(answer(Reads::EarlyButLastRow), 2);
}

TEST_F(SequenceOfMaps, ExecutablesAndViewsThatDoNotFitAreRefused) {
  const auto one = [&](View in) {
    return std::vector<SequenceItem>{
        item(map(1, lang::input(0) + 1.0), {in}, row(1))};
  };
  View half = row(0);
  half.type = Type::F16;
  try {
    instance().sequence(one(half), scratch_, {});
    FAIL();
  } catch (const InternalError& e) {
    EXPECT_STREQ(
        e.what(),
        "test peer: input 0 is float16 with 1 axes and 1 strides, expected "
        "float32");
  }
}

TEST_F(SequenceOfMaps, AFaultIsToldWhenTheQueueHasBeenWaitedFor) {
  lang::Body body;
  body.inputs = {{"table", lang::Role::Row}, {"at"}};
  body.outputs.push_back(
      {"out", lang::pick(lang::input(0), lang::input(1)), 0});
  const auto program = program_of(body, {Type::F32, Type::I32});
  const std::vector<int32_t> places{0, 9, 2, 3};
  queue_->copy_in(given_.address, places.data(), 16);
  const View at = dense_view(given_.address, Type::I32, {4});
  const auto table = instance().allocate(16);
  const View values = dense_view(table.address, Type::F32, {4});
  auto sequence = instance().sequence(
      {item(program, {values, at}, row(0))}, scratch_, {row(0)});
  queue_->run(*sequence);
  EXPECT_FALSE(sequence->fault());
  queue_->wait();
  ASSERT_TRUE(sequence->fault());
  EXPECT_EQ(sequence->fault()->first, 0);
  EXPECT_EQ(sequence->fault()->second.index, 9);
  EXPECT_EQ(sequence->fault()->second.length, 4);
}

TEST(Order, ItemsRunAsLateAsTheyMay) {
  // 2 waits for 1; nobody waits for 0.
  const std::vector<backend::Waits> waits{{}, {}, {{1}, {}}};
  EXPECT_EQ(latest_order(waits), (std::vector<int>{1, 2, 0}));
}

TEST(Unsupported, SomeProgramsAreRefusedWithAReason) {
  lang::Body body;
  body.inputs = {{"x"}};
  body.outputs.push_back(
      {"out", lang::cumsum(lang::input(0), lang::ScanOrder::Reverse)});
  EXPECT_EQ(
      instance().unsupported(program_of(body, {Type::F32})),
      "the test peer takes no running sums in reverse");
}

} // namespace
} // namespace zmlx::test_peer
