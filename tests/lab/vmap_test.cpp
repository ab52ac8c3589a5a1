// Every kernel of the catalogue under vmap, against a call for each element.

#include <gtest/gtest.h>

#include <cstdio>

#include <fmt/format.h>

#include "zmlx/lab/case_inputs.h"
#include "zmlx/lab/case_variants.h"
#include "zmlx/op/op.h"

namespace zmlx::lab {

namespace {

using Arrays = std::vector<mx::array>;

constexpr int kElements = 3; // along the mapped axes
constexpr int64_t kLargestCase = 3000; // elements, where there is one

/// Which inputs are mapped: every choice of few inputs; of many each alone, all
/// but each, and all.
std::vector<std::vector<bool>> choices(size_t inputs) {
  constexpr size_t kFew = 4;
  std::vector<std::vector<bool>> all;
  if (inputs <= kFew) {
    for (unsigned bits = 1; bits < 1u << inputs; ++bits) {
      auto& mapped = all.emplace_back(inputs);
      for (size_t i = 0; i < inputs; ++i) {
        mapped[i] = (bits >> i & 1) != 0;
      }
    }
    return all;
  }
  all.emplace_back(inputs, true);
  for (size_t i = 0; i < inputs; ++i) {
    for (const bool alone : {true, false}) {
      all.emplace_back(inputs, !alone)[i] = alone;
    }
  }
  return all;
}

/// The case with `kElements` of each mapped input, along axis 0.
lang::Case mapped_case(lang::Case c, const std::vector<bool>& mapped) {
  for (size_t i = 0; i < mapped.size(); ++i) {
    if (mapped[i]) {
      c.shapes[i].insert(c.shapes[i].begin(), kElements);
    }
  }
  return c;
}

mx::array bits_of(const mx::array& a) {
  return mx::view(mx::contiguous(a), mx::uint8);
}

bool same(const mx::array& got, const mx::array& want) {
  if (got.shape() != want.shape() || got.dtype() != want.dtype()) {
    return false;
  }
  return got.size() == 0 ||
      mx::array_equal(bits_of(got), bits_of(want)).item<bool>();
}

std::string text_of(const std::vector<bool>& mapped) {
  std::string text;
  for (const bool one : mapped) {
    text += one ? 'm' : '-';
  }
  return text;
}

/// Whether all elements of the outputs are those of calls one by one. `last`:
/// along the last axes of the inputs, and of the outputs along axis 0.
bool is_right(
    const op::BoundOp& kernel,
    Arrays inputs,
    const std::vector<bool>& mapped,
    bool last) {
  std::vector<int> axes(inputs.size(), -1);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (mapped[i]) {
      axes[i] = last ? static_cast<int>(inputs[i].ndim()) - 1 : 0;
      inputs[i] = mx::moveaxis(inputs[i], 0, axes[i]);
    }
  }
  const auto call = [&](const Arrays& in) {
    return op::apply(kernel.call(), in);
  };
  const auto got = mx::vmap(call, axes)(inputs);
  for (int element = 0; element < kElements; ++element) {
    Arrays one = inputs;
    for (size_t i = 0; i < inputs.size(); ++i) {
      one[i] = mapped[i] ? mx::take(inputs[i], element, axes[i]) : inputs[i];
    }
    const auto want = call(one);
    for (size_t k = 0; k < want.size(); ++k) {
      if (got[k].ndim() == 0 || got[k].shape(0) != kElements ||
          !same(mx::take(got[k], element, 0), want[k])) {
        return false;
      }
    }
  }
  return true;
}

struct Tally {
  int cases = 0;
  int wrong = 0;
};

std::vector<lang::Case> cases_of(const op::Op& kernel) {
  std::vector<lang::Case> cases;
  for (int64_t most = kLargestCase; cases.empty() && most < 1 << 30;
       most *= 2) {
    cases = typical_cases(kernel, most);
  }
  return cases;
}

void check(const op::Op& kernel, mx::Dtype type, Tally& tally) {
  const auto cases = cases_of(kernel);
  EXPECT_FALSE(cases.empty()) << kernel.name();
  for (const auto& c : cases) {
    const auto bound = kernel.with(c.attributes);
    const auto definition = kernel.define(c.attributes);
    for (const auto& mapped : choices(c.shapes.size())) {
      const auto inputs =
          inputs_of(definition, mapped_case(c, mapped), type, Layout::dense);
      for (const bool last : {false, true}) {
        ++tally.cases;
        const auto where = fmt::format(
            "{}, {}, inputs {}, {} axis",
            kernel.name(),
            c.name,
            text_of(mapped),
            last ? "last" : "first");
        try {
          if (!is_right(bound, inputs, mapped, last)) {
            ++tally.wrong;
            ADD_FAILURE() << where;
          }
        } catch (const std::exception& error) {
          ++tally.wrong;
          ADD_FAILURE() << where << ": " << error.what();
        }
      }
    }
  }
}

TEST(SlowVmap, EveryKernelMapsAnyOfItsInputsAsCallsOneByOneDo) {
  Tally tally;
  int kernels = 0;
  for (const auto* kernel : op::catalogue()) {
    if (kernel->family().ends_with("_test")) {
      continue; // of the other tests of this program
    }
    ++kernels;
    for (const auto type : {mx::float32, mx::bfloat16}) {
      check(*kernel, type, tally);
    }
  }
  std::printf("%d kernels under vmap: %d cases\n", kernels, tally.cases);
  EXPECT_EQ(tally.wrong, 0);
}

} // namespace

} // namespace zmlx::lab
