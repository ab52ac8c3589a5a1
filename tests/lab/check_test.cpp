#include "zmlx/lab/check.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "zmlx/lab/check_report.h"

namespace zmlx::lab {
namespace {

const std::vector<lang::Case> kCases = {
    {"(7)", {{7}}},
    {"(3, 5)", {{3, 5}}},
    {"(0, 4)", {{0, 4}}}};

const op::Op right{"test_right", "x^3 + x", [](lang::Define& k) {
                     auto x = k.input("x");
                     k.output(x * x * x + x);
                     k.cases(kCases);
                   }};

const op::Op largest{"test_largest", "where it is", [](lang::Define& k) {
                       k.output(lang::argmax(k.input("x")));
                       k.cases(kCases);
                     }};

// What float32 leaves of x is not x.
const op::Op cancelling{
    "test_cancelling",
    "x, past a large number",
    [](lang::Define& k) {
      k.output((k.input("x") + 1e8) - 1e8);
      k.cases(kCases);
    }};

const op::Op wrong_gradient{
    "test_wrong_gradient",
    "x^3 with the derivative 2 x^2",
    [](lang::Define& k) {
      auto x = k.input("x");
      k.output(x * x * x);
      k.gradient(x, k.cotangent() * 2 * x * x);
      k.cases(kCases);
    }};

// Differentiation takes it for a constant, which it is not.
const op::Op wrong_stop{"test_wrong_stop", "x x", [](lang::Define& k) {
                          auto x = k.input("x");
                          k.output(x * lang::stop_gradient(x));
                          k.cases(kCases);
                        }};

// The norm of a row of zeros is 0, and its gradient divides by it.
const op::Op norm{"test_norm", "|x|", [](lang::Define& k) {
                    auto x = k.input("x");
                    k.output(lang::sqrt(lang::sum(x * x)));
                    k.cases(kCases);
                  }};

const op::Op norm_of_all{"test_norm_of_all", "|x|", [](lang::Define& k) {
                           auto x = k.input("x");
                           auto squares = lang::sum(x * x);
                           auto none = squares == 0;
                           auto safe = lang::select(none, 1.0, squares);
                           k.output(lang::select(none, 0.0, lang::sqrt(safe)));
                           k.cases(kCases);
                         }};

// Products of 5 bits are not among those that the CPU has a body for.
const op::Op elsewhere{
    "test_elsewhere",
    "a product that no peer runs",
    [](lang::Define& k) {
      auto x = k.input("x");
      k.output(lang::product(x, k.weight("w", 5, 64)));
      k.cases(
          {{"8x64",
            {{1, 64}, {8, 10}, {8, 1}, {8, 1}},
            {},
            {{"w", {lang::Type::U32, 0, 4294967295.0}}}}});
    }};

const op::Op without_cases{"test_without_cases", "x", [](lang::Define& k) {
                             k.output(k.input("x"));
                           }};

int64_t count(const KernelCheck& found, Check check) {
  return found.comparisons[static_cast<size_t>(check)];
}

bool fails_with(const KernelCheck& found, Check check) {
  return std::any_of(
      found.failures.begin(), found.failures.end(), [&](const auto& f) {
        return f.check == check;
      });
}

TEST(CheckKernel, ARightKernelPassesEveryCheck) {
  const auto found = check_kernel(right);
  EXPECT_TRUE(found.ok()) << (found.ok() ? "" : found.failures[0].what);
  EXPECT_EQ(found.family, "check_test");
  EXPECT_EQ(found.cases, 3);
  EXPECT_TRUE(found.on_cpu);
  EXPECT_EQ(found.gradient_inputs, std::vector<std::string>{"x"});
  for (auto check :
       {Check::value,
        Check::special,
        Check::empty,
        Check::gradient,
        Check::derivative}) {
    EXPECT_GT(count(found, check), 0) << name_of(check);
  }
  EXPECT_EQ(count(found, Check::value), 3 * 3 * 6);
  EXPECT_EQ(count(found, Check::ties), 0);
}

TEST(CheckKernel, KernelsThatChooseMeetTies) {
  const auto found = check_kernel(largest);
  EXPECT_TRUE(found.ok()) << (found.ok() ? "" : found.failures[0].what);
  EXPECT_GT(count(found, Check::ties), 0);
}

TEST(CheckKernel, GradientsThatDivideByANormMeetRowsOfZeros) {
  const auto found = check_kernel(norm);
  ASSERT_TRUE(fails_with(found, Check::zeros));
  EXPECT_EQ(
      found.failures[0].where, "(3, 5), float32, x has a row of zeros, of x");
  EXPECT_EQ(
      found.failures[0].what,
      "the outputs are finite, and the gradient is not");
  EXPECT_FALSE(fails_with(found, Check::gradient));

  const auto careful = check_kernel(norm_of_all);
  EXPECT_TRUE(careful.ok());
  EXPECT_GT(count(careful, Check::zeros), 0);
  EXPECT_EQ(count(check_kernel(right), Check::zeros), 0);
}

TEST(CheckKernel, AWrongValueIsFound) {
  const auto found = check_kernel(cancelling);
  EXPECT_TRUE(fails_with(found, Check::value));
  EXPECT_GT(found.failed, static_cast<int64_t>(KernelCheck::kKept));
  EXPECT_EQ(found.failures.size(), KernelCheck::kKept);
  EXPECT_NE(
      found.failures[0].where.find("(7), float32, dense, output out"),
      std::string::npos)
      << found.failures[0].where;
}

TEST(CheckKernel, AWrongGradientByHandIsFoundByDifferencesAlone) {
  for (const auto* kernel : {&wrong_gradient, &wrong_stop}) {
    const auto found = check_kernel(*kernel);
    EXPECT_TRUE(fails_with(found, Check::derivative)) << kernel->name();
    EXPECT_FALSE(fails_with(found, Check::gradient)) << kernel->name();
    EXPECT_FALSE(fails_with(found, Check::value)) << kernel->name();
  }
}

TEST(CheckKernel, WhatRanAsMlxOperationsIsFoundWithItsReason) {
  const auto found = check_kernel(elsewhere);
  EXPECT_FALSE(found.on_cpu);
  EXPECT_FALSE(found.why_not_on_cpu.empty());
  EXPECT_TRUE(fails_with(found, Check::fallback));
  EXPECT_FALSE(fails_with(found, Check::value));
}

TEST(CheckKernel, AKernelWithoutCasesIsNotTested) {
  EXPECT_FALSE(check_kernel(without_cases).ok());
}

TEST(CheckKernels, ProgressCountsCases) {
  std::vector<int> done;
  check_kernels({&right, &largest}, [&](const auto&, int now, int total) {
    done.push_back(now);
    EXPECT_EQ(total, 6);
  });
  EXPECT_EQ(done, (std::vector<int>{0, 1, 2, 3, 4, 5}));
}

TEST(CheckReport, TableCsvAndJsonSayWhatFailed) {
  const auto results = check_kernels({&right, &wrong_gradient});
  const auto table = check_table(results);
  EXPECT_NE(table.find("1 kernels FAILED"), std::string::npos) << table;
  EXPECT_NE(table.find("of x, direction 0"), std::string::npos) << table;
  const auto json = nlohmann::json::parse(check_json(results).dump());
  EXPECT_EQ(json["passed"], false);
  EXPECT_EQ(json["kernels"][0]["failed"], 0);
  EXPECT_EQ(json["kernels"][0]["comparisons"]["value"], 54);
  EXPECT_EQ(json["kernels"][1]["failures"][0]["check"], "derivative");
}

TEST(CheckReport, CellsOfCsvMayHoldAnything) {
  KernelCheck found;
  found.kernel = "k";
  found.on_cpu = false;
  found.why_not_on_cpu = "pick(\"x\", i) reads";
  found.no_gradient = {{"w", "is read"}};
  const auto text = check_csv({found});
  EXPECT_NE(
      text.find(
          "\r\nk,,,no,\"pick(\"\"x\"\", i) reads\",no,w: is read,0,0,0,0\r\n"),
      std::string::npos)
      << text;
}

} // namespace
} // namespace zmlx::lab
