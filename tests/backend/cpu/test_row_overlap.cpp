// Rows of which two run at once: the bits of rows that run alone.
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/backend/cpu/oracle.h"
#include "zmlx/backend/cpu/cpu.h"
#include "zmlx/backend/cpu/passes.h"
#include "zmlx/backend/space.h"
#include "zmlx/lang/derive.h"
#include "zmlx/lang/functions.h"
#include "zmlx/lang/lower.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Body;

struct Case {
  std::string name;
  Body body;
  size_t passes;
};

Expr x(int i) {
  return lang::input(i);
}

Body gradient(const Body& body, const std::vector<int>& wanted) {
  std::string why;
  const auto result = lang::derive(body, wanted, &why);
  EXPECT_TRUE(result) << why;
  return result.value_or(Body());
}

// The first input has all places, further ones are the same in every row but
// for cotangents.
std::vector<Case> cases() {
  const Body rms{{{"x"}, {"w"}}, {{"y", lang::rms_norm(x(0), x(1), 1e-5), 0}}};
  const Body norm{
      {{"x"}, {"g"}, {"b"}},
      {{"y", lang::layer_norm(x(0), x(1), x(2), 1e-5), 0}}};
  const Body soft{{{"x"}}, {{"y", lang::softmax(x(0)), 0}}};
  const Expr e = lang::exp(x(0));
  return {
      {"rms_norm", rms, 2},
      {"share of a sum", {{{"x"}}, {{"y", e / lang::sum(e), 0}}}, 2},
      {"less the largest",
       {{{"x"}}, {{"y", x(0) - lang::max_of(x(0)), 0}, {"m", lang::sum(x(0))}}},
       2},
      {"softmax", soft, 3},
      {"layer_norm", norm, 3},
      {"gradient of softmax", gradient(soft, {0}), 0},
      {"gradients of rms_norm", gradient(rms, {0, 1}), 0},
      {"gradients of layer_norm", gradient(norm, {0, 1, 2}), 0},
  };
}

/// A case bound to arrays, which may be run again and again.
class Bound {
 public:
  Bound(const Case& which, Type type, int64_t rows, int64_t width, bool over)
      : rows_(rows), width_(width) {
    const Body& body = which.body;
    std::vector<Type> types;
    std::vector<Shape> shapes;
    for (size_t i = 0; i < body.inputs.size(); ++i) {
      const bool all = i == 0 || body.inputs[i].name.starts_with("d_");
      types.push_back(type);
      shapes.push_back(all ? Shape{rows, width} : Shape{width});
      inputs_.emplace_back(type, shapes.back(), Layout::Plain);
      inputs_.back().fill(static_cast<unsigned>(i) + 1);
      kept_.push_back(inputs_.back().memory);
    }
    std::string why;
    program_ = lang::lower(body, types, &why);
    EXPECT_TRUE(program_) << why;
    const auto out_shapes = lang::infer_shapes(body, shapes);
    const auto out_types = lang::infer_types(body, types);
    std::vector<View> views, out_views;
    for (const auto& input : inputs_) {
      views.push_back(input.view);
    }
    outputs_.reserve(out_shapes.size());
    for (size_t k = 0; k < out_shapes.size(); ++k) {
      outputs_.emplace_back(out_types[k], out_shapes[k], Layout::Plain);
      const bool is_input = over && out_shapes[k] == shapes[0];
      out_views.push_back(is_input ? inputs_[0].view : outputs_[k].view);
      over = over && !is_input;
      are_sums_.push_back(body.outputs[k].sum_like > 0);
      sums_.emplace_back(are_sums_.back() ? width : 0);
    }
    passes_ = std::make_unique<BoundPasses>(
        program_->row.passes,
        program_->row.slots,
        Binding{
            views,
            out_views,
            program_->roles,
            {rows, width},
            Walk::Rows,
            0,
            are_sums_});
  }

  void add_in_floats() {
    passes_->add_in_floats(are_sums_);
  }
  bool has_sums() const {
    return std::find(are_sums_.begin(), are_sums_.end(), true) !=
        are_sums_.end();
  }
  size_t passes() const {
    return program_->row.passes.size();
  }
  bool overlaps() const {
    return passes_->overlaps();
  }

  /// All that is written, in bytes, by shares of rows; 0: row by row.
  std::vector<unsigned char> run(int64_t parts) {
    std::vector<void*> sums;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      std::copy(kept_[i].begin(), kept_[i].end(), inputs_[i].memory.begin());
    }
    for (size_t k = 0; k < outputs_.size(); ++k) {
      std::fill(outputs_[k].memory.begin(), outputs_[k].memory.end(), 0xEE);
      std::fill(sums_[k].begin(), sums_[k].end(), 0);
      sums.push_back(sums_[k].data());
    }
    const RowValues values{.sums = sums.data()};
    for (int64_t row = 0; row < rows_ && parts == 0; ++row) {
      passes_->run(row, 0, width_, values);
    }
    for (int64_t part = 0; part < parts; ++part) {
      passes_->run_rows(
          rows_ * part / parts, rows_ * (part + 1) / parts, values, {});
    }
    passes_->finish();
    std::vector<unsigned char> result;
    const auto add = [&](const void* from, size_t bytes) {
      const auto* p = static_cast<const unsigned char*>(from);
      result.insert(result.end(), p, p + bytes);
    };
    for (const auto& input : inputs_) {
      add(input.memory.data(), input.memory.size());
    }
    for (size_t k = 0; k < outputs_.size(); ++k) {
      add(outputs_[k].memory.data(), outputs_[k].memory.size());
      add(sums_[k].data(), sums_[k].size() * sizeof(double));
    }
    return result;
  }

 private:
  int64_t rows_, width_;
  std::vector<Array> inputs_, outputs_;
  std::vector<std::vector<unsigned char>> kept_;
  std::vector<bool> are_sums_;
  std::vector<std::vector<double>> sums_;
  std::optional<lang::Program> program_;
  std::unique_ptr<BoundPasses> passes_;
};

void expect_rows(Bound& bound) {
  const auto want = bound.run(0);
  for (int64_t parts : {1, 2, 3, 7}) {
    const auto got = bound.run(parts);
    ASSERT_EQ(got.size(), want.size());
    ASSERT_EQ(std::memcmp(got.data(), want.data(), want.size()), 0)
        << parts << " parts";
  }
}

void check_rows(Type type, bool over, int64_t most = 1000000) {
  for (const Case& each : cases()) {
    for (int64_t width : {1, 15, 16, 17, 4096, 5000, 40000}) {
      for (int64_t rows : {1, 2, 3, 100}) {
        if (rows * width > most) {
          continue;
        }
        SCOPED_TRACE(
            testing::Message()
            << each.name << " of " << rows << " x " << width);
        Bound bound(each, type, rows, width, over);
        EXPECT_TRUE(each.passes == 0 || bound.passes() == each.passes);
        // A row of one place has nothing that differs along it.
        EXPECT_EQ(bound.overlaps(), assembles() && rows > 1 && width > 1);
        expect_rows(bound);
        if (bound.has_sums()) {
          bound.add_in_floats();
          expect_rows(bound);
        }
        if (testing::Test::HasFatalFailure()) {
          return;
        }
      }
    }
  }
}

TEST(RowOverlap, BitsOfRowsAlone) {
  check_rows(Type::F32, false, 4000000);
}

TEST(RowOverlap, BitsOfRowsAloneInSixteenBits) {
  check_rows(Type::BF16, false);
}

TEST(RowOverlap, AnOutputInAnInputsMemory) {
  check_rows(Type::F32, true);
}

// As a launch runs them, whose chunks of rows do not depend on the shares.
TEST(RowOverlap, GradientsOfLaunchesByAnyShares) {
  const Body norm{
      {{"x"}, {"g"}, {"b"}},
      {{"y", lang::layer_norm(x(0), x(1), x(2), 1e-5), 0}}};
  const auto program = lang::lower(
      gradient(norm, {0, 1, 2}), std::vector(4, Type::F32), nullptr);
  const auto executable = compile(*program);
  for (int64_t width : {1, 15, 16, 17, 4096, 5000, 40000}) {
    for (int64_t rows : {1, 2, 3, 20}) {
      SCOPED_TRACE(testing::Message() << rows << " x " << width);
      std::vector<Array> arrays; // x, g, b, d_y, d_x, d_g, d_b
      std::vector<View> views;
      for (bool each : {true, false, false, true, true, false, false}) {
        const Shape shape = each ? Shape{rows, width} : Shape{width};
        arrays.emplace_back(Type::F32, shape, Layout::Plain);
        arrays.back().fill(static_cast<unsigned>(arrays.size()));
      }
      for (const auto& array : arrays) {
        views.push_back(array.view);
      }
      const auto launch =
          executable->bind(std::span(views).first(4), std::span(views).last(3));
      std::vector<std::vector<unsigned char>> first;
      for (int parts : {1, 2, 3, 7}) {
        for (int part = parts; part-- > 0;) {
          launch->run(part, parts);
        }
        for (size_t k = 4; k < arrays.size(); ++k) {
          if (parts == 1) {
            first.push_back(arrays[k].memory);
          }
          ASSERT_EQ(arrays[k].memory, first[k - 4]) << parts << " parts";
          std::fill_n(
              cpu::pointer<float>(arrays[k].view.data),
              arrays[k].values.size(),
              -1.0f);
        }
      }
    }
  }
}

// The next row would be read before this one is stored over it.
TEST(RowOverlap, NotWhereARowIsStoredOverTheNext) {
  const int64_t rows = 3, width = 50;
  const Body body{{{"x"}}, {{"y", lang::softmax(x(0)), 0}}};
  const auto program = lang::lower(body, {Type::F32}, nullptr);
  Array memory(Type::F32, {rows + 1, width}, Layout::Plain);
  View from = memory.view, to = memory.view;
  from.shape[0] = to.shape[0] = rows;
  const auto bind = [&] {
    return BoundPasses(
        program->row.passes,
        program->row.slots,
        {{&from, 1}, {&to, 1}, program->roles, {rows, width}});
  };
  EXPECT_EQ(bind().overlaps(), assembles()); // each row over itself
  to.data = cpu::pointer<float>(from.data) + width;
  const BoundPasses passes = bind();
  EXPECT_FALSE(passes.overlaps());
  memory.fill(1);
  const auto first = memory.memory;
  for (int64_t row = 0; row < rows; ++row) {
    passes.run(row, 0, width);
  }
  const auto want = memory.memory;
  memory.memory = first;
  passes.run_rows(0, rows);
  EXPECT_EQ(memory.memory, want);
}

} // namespace
} // namespace zmlx::backend::cpu
