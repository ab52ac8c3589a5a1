// Functions of a row, of places and conversions, on every type, against C++'s
// own arithmetic.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>

#include <fmt/format.h>

#include "tests/types/functions.h"
#include "zmlx/lang/parse.h"
#include "zmlx/op/convert.h"
#include "zmlx/op/elementwise.h"

namespace zmlx::types {

namespace {

using Row = std::vector<Real>;

constexpr Real kInf = std::numeric_limits<Real>::infinity();
constexpr Real kNan = std::numeric_limits<Real>::quiet_NaN();
constexpr Real kEps = 1e-3L;

/// Rows whose sums are meant: no value is near the ends of a float's range.
std::vector<Row> rows_of(Type type) {
  std::mt19937 random(7);
  const auto draw = [&](Real low, Real high) {
    std::uniform_real_distribution<double> place(0, 1);
    return low + (high - low) * static_cast<Real>(place(random));
  };
  const bool is_float = lang::is_float(type);
  const auto ends = values_of(type);
  const Real most = is_float ? 3 : *std::max_element(ends.begin(), ends.end());
  const Real least =
      is_float ? -3 : *std::min_element(ends.begin(), ends.end());
  std::vector<Row> rows = {{1}, {0, 0, 0}, Row(300, is_float ? 3 : most)};
  if (least < 0) {
    rows.emplace_back(Row(300, is_float ? -3 : least));
  }
  for (const size_t length : {2, 17, 33, 1000}) {
    for (const Real part : {Real(1), Real(1) / 1000}) {
      Row row(length);
      for (Real& x : row) {
        x = draw(least * part, most * part);
        x = is_float ? x : std::trunc(x);
      }
      rows.push_back(std::move(row));
    }
  }
  rows.push_back({0, 1, 2, 3});
  if (is_float) {
    rows.insert(
        rows.end(),
        {{1, kInf, 2},
         {-kInf, 1, 2},
         {kInf, kInf},
         {-kInf, -kInf},
         {kInf, -kInf, 1},
         {1, kNan, kInf, 3}});
  }
  return rows;
}

using Reals = std::function<Row(const Row&)>;

/// What a function of a row gives at each place, or once.
struct RowFunction {
  std::string name;
  std::string formula; // of x
  Reals of_reals;
  std::function<std::vector<Whole>(const Row&)> of_wholes; // null: a float
  bool place = false; // uint32 or int32 of whatever type
  bool squares = false; // which may be beyond the floats
};

Real add_up(const Row& row) {
  Real sum = 0;
  for (Real x : row) {
    sum += x;
  }
  return sum;
}

Real mean_of(const Row& row) {
  return add_up(row) / static_cast<Real>(row.size());
}

template <typename F>
Row each(const Row& row, F f) {
  Row result;
  for (Real x : row) {
    result.push_back(f(x));
  }
  return result;
}

bool any_nan(const Row& row) {
  return std::any_of(row.begin(), row.end(), [](Real x) { return x != x; });
}

Real most_of(const Row& row) {
  return any_nan(row) ? kNan : *std::max_element(row.begin(), row.end());
}
Real least_of(const Row& row) {
  return any_nan(row) ? kNan : *std::min_element(row.begin(), row.end());
}

bool has_finite_squares(const Row& row) {
  return std::all_of(row.begin(), row.end(), [](Real x) {
    return std::isinf(x) || std::abs(x) < 0x1p50L || x != x;
  });
}

Row squared(const Row& row) {
  return each(row, [](Real x) { return x * x; });
}

Real logsumexp(const Row& row) {
  const Real most = most_of(row);
  if (std::isinf(most) || std::isnan(most)) {
    return most;
  }
  return most +
      std::log(add_up(each(row, [&](Real x) { return std::exp(x - most); })));
}

Row softmax(const Row& row) {
  const Real most = most_of(row);
  const Row e = each(row, [&](Real x) { return std::exp(x - most); });
  const Real sum = add_up(e);
  return each(e, [&](Real x) { return x / sum; });
}

Row log_softmax(const Row& row) {
  const Real most = most_of(row);
  const Real sum =
      add_up(each(row, [&](Real x) { return std::exp(x - most); }));
  return each(row, [&](Real x) { return x - most - std::log(sum); });
}

Row rms_norm(const Row& row) {
  const Real scale = 1 / std::sqrt(mean_of(squared(row)) + kEps);
  return each(row, [&](Real x) { return x * scale; });
}

Row centred(const Row& row) {
  const Real mean = mean_of(row);
  return each(row, [&](Real x) { return x - mean; });
}

// NaN counts as the largest, the lowest place among equals.
size_t place_of_most(const Row& row) {
  for (size_t i = 0; i < row.size(); ++i) {
    if (row[i] != row[i]) {
      return i;
    }
  }
  return static_cast<size_t>(
      std::max_element(row.begin(), row.end()) - row.begin());
}
size_t place_of_least(const Row& row) {
  size_t best = row.size();
  for (size_t i = 0; i < row.size(); ++i) {
    if (row[i] == row[i] && (best == row.size() || row[i] < row[best])) {
      best = i;
    }
  }
  return best == row.size() ? 0 : best;
}

std::vector<Whole> wholes(const Row& row) {
  return {row.begin(), row.end()};
}

template <typename F>
std::vector<Whole> folded(const Row& row, Whole start, F f) {
  for (Real x : row) {
    start = f(start, static_cast<Whole>(x));
  }
  return {start};
}

/// The sum of the places that count before and after one.
template <typename T>
std::vector<T>
running(const std::vector<T>& row, bool reverse, bool exclusive) {
  std::vector<T> result(row.size());
  for (size_t i = 0; i < row.size(); ++i) {
    for (size_t k = 0; k < row.size(); ++k) {
      const bool before = reverse ? k > i : k < i;
      if (before || (!exclusive && k == i)) {
        result[i] += row[k];
      }
    }
  }
  return result;
}

Row largest_two(Row row) {
  std::stable_sort(row.begin(), row.end(), [](Real a, Real b) {
    return b == b && (a != a || a > b);
  });
  row.resize(std::min<size_t>(row.size(), 1));
  return row;
}

RowFunction
reads(const std::string& name, const std::string& formula, const Reals& f) {
  return {name, formula, f, [f](const Row& row) { return wholes(f(row)); }};
}

RowFunction
place(const std::string& name, const std::string& formula, const Reals& f) {
  auto function = reads(name, formula, f);
  function.place = true;
  return function;
}

RowFunction cumsum(const std::string& arguments, bool reverse, bool exclusive) {
  return {
      "cumsum",
      "cumsum(x" + arguments + ")",
      [=](const Row& row) { return running(row, reverse, exclusive); },
      [=](const Row& row) { return running(wholes(row), reverse, exclusive); }};
}

/// Of floats, whatever it is given.
RowFunction
squares(const std::string& name, const std::string& formula, Reals f) {
  return {name, formula, std::move(f), nullptr, false, true};
}

Row one(Real x) {
  return {x};
}

Row counted(const Row& row, bool number) {
  Row result;
  for (size_t i = 0; i < row.size(); ++i) {
    result.push_back(static_cast<Real>(number ? i : row.size()));
  }
  return result;
}

const std::vector<RowFunction>& row_functions() {
  const auto multiply = [](Whole a, Whole b) {
    return static_cast<Whole>(
        static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  };
  static const std::vector<RowFunction> all = {
      {"sum",
       "sum(x)",
       [](const Row& r) { return one(add_up(r)); },
       [](const Row& r) {
         return folded(r, 0, [](Whole a, Whole b) { return a + b; });
       }},
      {"prod",
       "prod(x)",
       [](const Row& r) {
         Real product = 1;
         for (Real x : r) {
           product *= x;
         }
         return one(product);
       },
       [multiply](const Row& r) { return folded(r, 1, multiply); }},
      {"mean", "mean(x)", [](const Row& r) { return one(mean_of(r)); }},
      reads(
          "max_of", "max_of(x)", [](const Row& r) { return one(most_of(r)); }),
      reads(
          "min_of", "min_of(x)", [](const Row& r) { return one(least_of(r)); }),
      place(
          "argmax",
          "argmax(x)",
          [](const Row& r) {
            return one(static_cast<Real>(place_of_most(r)));
          }),
      place(
          "argmin",
          "argmin(x)",
          [](const Row& r) {
            return one(static_cast<Real>(place_of_least(r)));
          }),
      squares(
          "var",
          "var(x)",
          [](const Row& r) { return one(mean_of(squared(centred(r)))); }),
      {"logsumexp",
       "logsumexp(x)",
       [](const Row& r) { return one(logsumexp(r)); }},
      {"softmax", "softmax(x)", softmax},
      {"log_softmax", "log_softmax(x)", log_softmax},
      squares("rms_norm", "rms_norm(x, 0.001)", rms_norm),
      squares(
          "rms_norm",
          "rms_norm(x, x, 0.001)",
          [](const Row& r) {
            Row y = rms_norm(r);
            for (size_t i = 0; i < r.size(); ++i) {
              y[i] *= r[i];
            }
            return y;
          }),
      squares(
          "layer_norm",
          "layer_norm(x, 2, 1, 0.001)",
          [](const Row& r) {
            const Row d = centred(r);
            const Real scale = 1 / std::sqrt(mean_of(squared(d)) + kEps);
            return each(d, [&](Real x) { return x * scale * 2 + 1; });
          }),
      cumsum("", false, false),
      cumsum(", 0, 1", false, true),
      cumsum(", 1, 0", true, false),
      cumsum(", 1, 1", true, true),
      reads("top_values", "top_values(x, 1)", largest_two),
      place(
          "top_places",
          "top_places(x, 1)",
          [](const Row& r) {
            return one(static_cast<Real>(place_of_most(r)));
          }),
      place(
          "index",
          "index() + int(0 * argmax(x))",
          [](const Row& r) { return counted(r, true); }),
      place(
          "width",
          "width() + int(0 * argmax(x))",
          [](const Row& r) { return one(static_cast<Real>(r.size())); }),
      place(
          "extent",
          "extent(x, -1) + int(0 * argmax(x))",
          [](const Row& r) { return one(static_cast<Real>(r.size())); }),
      place(
          "row_index",
          "row_index() + int(0 * argmax(x))",
          [](const Row&) { return one(0); }),
      reads(
          "pick",
          "pick(x, width() - 1 - index())",
          [](const Row& r) { return Row(r.rbegin(), r.rend()); }),
  };
  return all;
}

// The terms of a sum may cancel.
Real magnitude_of(const Row& row, const Row& want) {
  Real most = 1;
  for (const Row* values : {&row, &want}) {
    for (Real x : *values) {
      most = std::isfinite(x) ? std::max(most, std::abs(x)) : most;
    }
  }
  return most;
}

void check(const RowFunction& f, Type type, const Row& values, Tally& tally) {
  const auto x = array_of(type, values);
  const Row row = values_in(x); // as it is stored
  const auto out = elementwise(f.formula)(x);
  const Type result = op::to_lang(out.dtype());
  const std::string where =
      fmt::format("{} of {} {}", f.formula, row.size(), lang::name_of(type));
  const bool integer = f.place || (!lang::is_float(type) && f.of_wholes);
  tally.count(
      lang::is_float(result) != integer &&
          (!f.place || lang::size_of(result) == 4),
      fmt::format("{} is stored as {}", where, lang::name_of(result)));
  const Row got = values_in(out);
  const Row want = f.of_reals(row);
  ASSERT_EQ(got.size(), want.size()) << where;
  const auto exact = integer ? f.of_wholes(row) : std::vector<Whole>();
  const Real magnitude = magnitude_of(row, want);
  for (size_t i = 0; i < got.size(); ++i) {
    const bool right = integer
        ? got[i] == wrapped(result, exact[i])
        : is_near_in_row(out.dtype(), got[i], want[i], magnitude);
    tally.count(
        right,
        fmt::format(
            "{}, place {}: got {} as {}, expected {}",
            where,
            i,
            got[i],
            lang::name_of(result),
            want[i]));
  }
}

TEST(Types, FunctionsOfARow) {
  Tally tally;
  for (const auto& f : row_functions()) {
    for (Type type : all_types()) {
      for (const Row& row : rows_of(type)) {
        if (!f.squares || has_finite_squares(row)) {
          check(f, type, row, tally);
        }
      }
    }
  }
  std::printf("functions of a row: %lld cases\n", tally.cases);
  EXPECT_EQ(tally.wrong, 0);
}

// In 32 bits at least, or as many as the numbers have.
TEST(Types, SumsOfSmallIntegersAreExact) {
  for (Type type : all_types()) {
    const auto x = array_of(type, Row(300, 127));
    const auto sum = elementwise("sum(x)")(x);
    EXPECT_EQ(sum.dtype(), mx::sum(x).dtype()) << lang::name_of(type);
    EXPECT_EQ(
        values_in(sum)[0],
        type == Type::Bool       ? 300
            : type == Type::F16  ? 38112
            : type == Type::BF16 ? 38144
                                 : 38100)
        << lang::name_of(type);
  }
}

TEST(Types, PlacesAreExactInLongRows) {
  for (Type type : all_types()) {
    Row row(5000, 0);
    row[4999] = 1;
    const auto x = array_of(type, row);
    EXPECT_EQ(values_in(elementwise("argmax(x)")(x)), one(4999));
    EXPECT_EQ(values_in(elementwise("argmin(1 - x)")(x)), one(4999));
    EXPECT_EQ(values_in(elementwise("top_places(x, 1)")(x)), one(4999));
    EXPECT_EQ(
        values_in(elementwise("max_of(index())+0*argmax(x)")(x)), one(4999));
  }
}

/// What C++ makes of a number that the type holds.
Real converted(Type to, Real x) {
  if (to == Type::Bool) {
    return x != 0;
  }
  return lang::is_float(to) ? values_in(array_of(to, {x}))[0] : std::trunc(x);
}

bool holds(Type type, Real x) {
  const auto ends = values_of(type);
  return lang::is_float(type) || type == Type::Bool ||
      (std::isfinite(x) &&
       std::trunc(x) <= *std::max_element(ends.begin(), ends.end()) &&
       std::trunc(x) >= *std::min_element(ends.begin(), ends.end()));
}

TEST(Types, Conversions) {
  Tally tally;
  for (Type from : all_types()) {
    for (Type to : all_types()) {
      Row values;
      for (Real x : values_of(from)) {
        if (holds(to, x)) {
          values.push_back(x);
        }
      }
      const auto a = array_of(from, values);
      const Row stored = values_in(a);
      for (const auto* formula : {"cast({}, x)", "({})x", "as({}, x)"}) {
        const auto text = fmt::format(fmt::runtime(formula), lang::name_of(to));
        const auto out = elementwise(text)(a);
        const Row got = values_in(out);
        const Type result = op::to_lang(out.dtype());
        for (size_t i = 0; i < got.size(); ++i) {
          const Real want = converted(result, converted(to, stored[i]));
          // A cast to 16 bits is computed in float32.
          const Real direct =
              converted(result, converted(lang::compute_type(to), stored[i]));
          const bool right = got[i] == want ||
              (want != want && got[i] != got[i]) ||
              (formula[0] == 'c' && lang::is_float(to) && got[i] == direct);
          tally.count(
              right,
              fmt::format(
                  "{} of {} {}: got {} as {}, expected {}",
                  text,
                  lang::name_of(from),
                  stored[i],
                  got[i],
                  lang::name_of(result),
                  want));
        }
      }
    }
  }
  std::printf("conversions: %lld cases\n", tally.cases);
  EXPECT_EQ(tally.wrong, 0);
}

TEST(Types, ReadsOfTables) {
  Tally tally;
  for (Type type : all_types()) {
    for (Type index : all_types()) {
      if (!lang::is_integer(index)) {
        continue;
      }
      const auto values = values_of(type);
      const auto table = mx::reshape(
          array_of(type, values), {static_cast<int>(values.size()), 1});
      const Row places = {1, 0, 1};
      const auto out = elementwise("take(t, i)", {.inputs = {"t", "i"}})(
          table, array_of(index, places));
      EXPECT_EQ(out.dtype(), table.dtype());
      const Row got = values_in(out), all = values_in(table);
      for (size_t i = 0; i < places.size(); ++i) {
        tally.count(
            got[i] == all[static_cast<size_t>(places[i])],
            "take of " + std::string(lang::name_of(type)));
      }
    }
  }
  std::printf("reads of tables: %lld cases\n", tally.cases);
  EXPECT_EQ(tally.wrong, 0);
}

// The bits themselves are held against the published ones in tests/op.
TEST(Types, SeedsOfEveryIntegerTypeGiveTheSameBits) {
  const auto bits =
      elementwise("random(s) + 0 * argmax(x)", {.scalars = {"s"}});
  const auto even =
      elementwise("uniform(s) + 0 * argmax(x)", {.scalars = {"s"}});
  const auto x = mx::zeros({5});
  const auto want = values_in(bits(x, 77));
  for (Type type : all_types()) {
    if (lang::is_integer(type)) {
      const auto seed = mx::reshape(array_of(type, {77}), {});
      EXPECT_EQ(values_in(bits(x, seed)), want);
      const auto shares = values_in(even(x, seed));
      for (size_t i = 0; i < shares.size(); ++i) {
        EXPECT_EQ(shares[i], std::floor(want[i] / 256) / 0x1p24L);
      }
    }
  }
}

TEST(Types, ResultsOfNumbersAreHeld) {
  const auto type_of = [](const char* text, Type type) {
    return op::to_lang(elementwise(text)(array_of(type, {0, 1})).dtype());
  };
  for (Type type : all_types()) {
    const bool is_float = lang::is_float(type);
    EXPECT_EQ(type_of("x ? 5 : 7", type), is_float ? type : Type::I32);
    EXPECT_EQ(type_of("x ? 0.5 : 7", type), is_float ? type : Type::F32);
    EXPECT_EQ(type_of("x + 1", type), type == Type::Bool ? Type::I32 : type);
    EXPECT_EQ(type_of("x * 0.5", type), is_float ? type : Type::F32);
    EXPECT_EQ(type_of("x < 1", type), type);
    EXPECT_EQ(type_of("sum(x < 1)", type), Type::I32);
    EXPECT_EQ(type_of("int(x)", type), Type::I32);
  }
  EXPECT_EQ(
      values_in(elementwise("x ? 5 : 7")(array_of(Type::Bool, {0, 1}))),
      (Row{7, 5}));
}

// No function is forgotten. product and attention have tests of their own.
TEST(Types, EveryFunctionOfTheLanguageIsThere) {
  std::vector<std::string> known = {
      "as", "cast", "take", "random", "uniform", "fma", "product", "attention"};
  for (const auto& f : functions()) {
    known.push_back(f.name);
  }
  for (const auto& f : row_functions()) {
    known.push_back(f.name);
  }
  for (const auto& name : lang::formula_functions()) {
    EXPECT_NE(std::find(known.begin(), known.end(), name), known.end()) << name;
  }
}

} // namespace

} // namespace zmlx::types
