// Every function of the values at one place, on every type and every pair of
// types, against C++'s own arithmetic.

#include <gtest/gtest.h>

#include <cstdio>
#include <random>

#include <fmt/format.h>

#include "tests/types/functions.h"
#include "zmlx/base/errors.h"
#include "zmlx/op/convert.h"
#include "zmlx/op/elementwise.h"

namespace zmlx::types {

namespace {

using Types = std::vector<Type>;
using Values = std::vector<std::vector<Real>>; // of each operand

std::string text_of(const Function& f, const Types& types) {
  std::string text = f.formula + " of";
  for (Type type : types) {
    text += fmt::format(" {}", lang::name_of(type));
  }
  return text;
}

// Operands of which the first is a condition have a type of their own.
size_t first_value(const Function& f) {
  return f.name == "select" || f.name == "where" || f.name == "?:" ? 1 : 0;
}

struct Operands {
  Type promoted; // in which MLX stores a result
  bool has_float = false;
  bool no_integer_holds_both = false; // uint64 and one with a sign
  Type compute = Type::F32; // of floats
};

Operands operands_of(const Function& f, const Types& types) {
  const size_t first = first_value(f);
  Operands all{types[first]};
  bool sign = false, whole = false;
  for (size_t i = 0; i < types.size(); ++i) {
    all.compute = types[i] == Type::F64 ? Type::F64 : all.compute;
    if (i < first) {
      continue;
    }
    all.promoted = lang::promote_stored(all.promoted, types[i]);
    all.has_float = all.has_float || lang::is_float(types[i]);
    sign = sign || lang::is_signed(types[i]);
    whole = whole || types[i] == Type::U64;
  }
  all.no_integer_holds_both = sign && whole;
  return all;
}

std::string number(Real x) {
  return fmt::format("{}", x);
}

class Check {
 public:
  Check(const Function& f, Types types, Values values, Tally& tally)
      : f_(f),
        types_(std::move(types)),
        values_(std::move(values)),
        operands_(operands_of(f, types_)),
        tally_(tally) {}

  void run() {
    std::vector<mx::array> arrays;
    std::vector<op::Operand> inputs;
    std::vector<std::string> names;
    for (size_t i = 0; i < types_.size(); ++i) {
      names.emplace_back(i == 0 ? "a" : i == 1 ? "b" : "c");
      inputs.emplace_back(array_of(types_[i], values_[i]));
      values_[i] = values_in(inputs.back().array()); // as they are stored
    }
    const auto out = elementwise(f_.formula, {.inputs = names}).one(inputs);
    stored_ = out.dtype();
    result_ = op::to_lang(stored_);
    if (!has_right_kind()) {
      return;
    }
    const auto got = values_in(out);
    for (size_t i = 0; i < got.size(); ++i) {
      tally_.count(is_right(i, got[i]), "");
      if (!right_) {
        explain(i, got[i]);
      }
    }
  }

 private:
  bool has_right_kind() {
    const bool integer = !operands_.has_float && f_.whole &&
        (!operands_.no_integer_holds_both || !f_.exact);
    const bool right = f_.truth || lang::is_float(result_) != integer;
    tally_.count(
        right,
        fmt::format(
            "{} is stored as {}", text_of(f_, types_), lang::name_of(result_)));
    return right;
  }

  bool is_right(size_t i, Real got) {
    right_ = f_.truth ? got == exact(i) || got == computed(i)
        : lang::is_float(result_)
        ? is_near(stored_, got, exact(i)) || is_near(stored_, got, computed(i))
        : got == whole(i);
    return right_;
  }

  Real at(size_t operand, size_t i) const {
    return operand < values_.size() ? values_[operand][i] : 0;
  }

  Real exact(size_t i) const {
    return f_.exact(at(0, i), at(1, i), at(2, i));
  }

  // In the type that the operands are computed in.
  Real computed(size_t i) const {
    return operands_.compute == Type::F64 ? static_cast<Real>(f_.in_double(
                                                static_cast<double>(at(0, i)),
                                                static_cast<double>(at(1, i)),
                                                static_cast<double>(at(2, i))))
                                          : static_cast<Real>(f_.in_float(
                                                static_cast<float>(at(0, i)),
                                                static_cast<float>(at(1, i)),
                                                static_cast<float>(at(2, i))));
  }

  // An integer that the type of MLX's result holds is exact, others wrap in a
  // type that is no narrower.
  Real whole(size_t i) const {
    const auto integer = [&](size_t k) {
      const Real x = at(k, i);
      return k < first_value(f_) ? Whole(x != 0) : static_cast<Whole>(x);
    };
    const Whole exact = f_.whole(integer(0), integer(1), integer(2));
    const Type promoted =
        operands_.no_integer_holds_both ? type_of_bits() : operands_.promoted;
    const bool held = promoted == Type::Bool ||
        wrapped(promoted, exact) == static_cast<Real>(exact);
    return held ? static_cast<Real>(exact) : wrapped(result_, exact);
  }

  // What is shifted keeps its sign.
  Type type_of_bits() const {
    const bool shifts = f_.name == "<<" || f_.name == ">>";
    return shifts && types_[0] != Type::U64 ? Type::I64 : Type::U64;
  }

  void explain(size_t i, Real got) {
    std::string text = text_of(f_, types_);
    for (const auto& operand : values_) {
      text.append(fmt::format(", {}", number(operand[i])));
    }
    const Real want = lang::is_float(result_) || f_.truth ? exact(i) : whole(i);
    std::printf(
        "%s: got %s as %s, expected %s\n",
        text.c_str(),
        number(got).c_str(),
        std::string(lang::name_of(result_)).c_str(),
        number(want).c_str());
  }

  const Function& f_;
  const Types types_;
  Values values_;
  const Operands operands_;
  Tally& tally_;
  mx::Dtype stored_ = mx::float32;
  Type result_ = Type::F32;
  bool right_ = true;
};

// All pairs, or as many random ones.
Values pairs_of(Type a, Type b) {
  Values values(2);
  for (Real x : values_of(a)) {
    for (Real y : values_of(b)) {
      values[0].push_back(x);
      values[1].push_back(y);
    }
  }
  return values;
}

Values triples_of(const Types& types) {
  constexpr int kTriples = 300;
  std::mt19937 random(1);
  Values values;
  for (Type type : types) {
    const auto from = values_of(type);
    std::uniform_int_distribution<size_t> place(0, from.size() - 1);
    auto& to = values.emplace_back();
    for (int i = 0; i < kTriples; ++i) {
      to.push_back(from[place(random)]);
    }
  }
  return values;
}

bool takes(const Function& f, const Types& types) {
  return f.exact || std::none_of(types.begin(), types.end(), [](Type type) {
           return lang::is_float(type);
         });
}

void check(const Function& f, const Types& types, Tally& tally) {
  const auto values = f.arity == 1 ? Values{values_of(types[0])}
      : f.arity == 2               ? pairs_of(types[0], types[1])
                                   : triples_of(types);
  if (takes(f, types)) {
    Check(f, types, values, tally).run();
    return;
  }
  EXPECT_THROW(Check(f, types, values, tally).run(), UserError)
      << text_of(f, types);
  ++tally.cases;
}

TEST(Types, FunctionsOfOneValue) {
  Tally tally;
  for (const auto& f : functions()) {
    for (Type a : all_types()) {
      if (f.arity == 1) {
        check(f, {a}, tally);
      }
    }
  }
  std::printf("functions of one value: %lld cases\n", tally.cases);
  EXPECT_EQ(tally.wrong, 0);
}

TEST(Types, FunctionsOfTwoValues) {
  Tally tally;
  for (const auto& f : functions()) {
    for (Type a : all_types()) {
      for (Type b : all_types()) {
        if (f.arity == 2) {
          check(f, {a, b}, tally);
        }
      }
    }
  }
  std::printf("functions of two values: %lld cases\n", tally.cases);
  EXPECT_EQ(tally.wrong, 0);
}

TEST(Types, FunctionsOfThreeValues) {
  Tally tally;
  for (const auto& f : functions()) {
    for (Type a : all_types()) {
      for (Type b : all_types()) {
        if (f.arity == 3) {
          check(f, {a, a, b}, tally);
          check(f, {a, b, a}, tally);
          check(f, {b, a, a}, tally);
        }
      }
    }
  }
  std::printf("functions of three values: %lld cases\n", tally.cases);
  EXPECT_EQ(tally.wrong, 0);
}

} // namespace

} // namespace zmlx::types
