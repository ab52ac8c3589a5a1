#include "zmlx/lab/check.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include "zmlx/lab/case_inputs.h"
#include "zmlx/lab/case_variants.h"
#include "zmlx/lab/check_gradients.h"
#include "zmlx/lang/space.h"
#include "zmlx/op/convert.h"

namespace zmlx::lab {

namespace {

// Elements of all arrays of a case up to which it is used; the smallest case of
// a kernel always is.
constexpr int64_t kForGradients = 30000;
constexpr int64_t kForDifferences = 3000;
constexpr int64_t kForVariants = 6000;

const mx::Dtype kTypes[] = {mx::float32, mx::float16, mx::bfloat16};

std::string
where_of(const lang::Case& c, mx::Dtype type, const std::string& more) {
  return fmt::format(
      "{}, {}, {}", c.name, lang::name_of(op::to_lang(type)), more);
}

int64_t elements_of(const std::vector<mx::array>& arrays) {
  return std::accumulate(
      arrays.begin(), arrays.end(), int64_t{0}, [](int64_t n, auto& a) {
        return n + static_cast<int64_t>(a.size());
      });
}

int64_t smallest_case(const op::Op& kernel) {
  int64_t smallest = std::numeric_limits<int64_t>::max();
  const auto defined = kernel.define();
  for (const auto& c : defined.listed_cases()) {
    int64_t all = 0;
    bool empty = false;
    for (const auto& shape : c.shapes) {
      const auto n = lang::count(shape);
      all += n;
      empty = empty || n == 0;
    }
    smallest = empty ? smallest : std::min(smallest, all);
  }
  return smallest;
}

// One kernel's checks, case by case.
class Checker {
 public:
  Checker(const op::Op& kernel, KernelCheck& found)
      : kernel_(kernel), found_(found), smallest_(smallest_case(kernel)) {}

  void run_case(const lang::Case& c) {
    const auto defined = kernel_.define(c.attributes);
    for (auto type : kTypes) {
      for (auto layout : kLayouts) {
        const auto inputs = inputs_of(defined, c, type, layout);
        check_outputs(
            kernel_,
            c.attributes,
            inputs,
            Check::value,
            where_of(c, type, name_of(layout)),
            found_);
      }
      run_gradients(defined, c, type);
    }
  }

  void run_variants() {
    for (const auto& c :
         typical_cases(kernel_, std::max(kForVariants, smallest_))) {
      const auto defined = kernel_.define(c.attributes);
      for (auto type : kTypes) {
        run_special(defined, c, type);
        run_ties(defined, c, type);
        run_zeros(defined, c, type);
      }
      for (const auto& none : empty_cases(defined, c)) {
        run_empty(defined, none);
      }
    }
  }

 private:
  bool is_used(const std::vector<mx::array>& inputs, int64_t most) const {
    return elements_of(inputs) <= std::max(most, smallest_);
  }

  void run_gradients(
      const lang::Define& defined,
      const lang::Case& c,
      mx::Dtype type) {
    const auto wanted = float_inputs(defined, c);
    const auto inputs = inputs_of(defined, c, type, Layout::dense);
    if (wanted.empty() || !is_used(inputs, kForGradients)) {
      return;
    }
    const auto call = kernel_.with(c.attributes).call();
    const auto split = split_gradients(*call, wanted, found_);
    if (!split.by_kernel.empty()) {
      for (auto layout : {Layout::dense, Layout::strided, Layout::transposed}) {
        check_gradient_kernel(
            call,
            split.by_kernel,
            inputs_of(defined, c, type, layout),
            layout,
            where_of(c, type, name_of(layout)),
            found_);
      }
    }
    const bool by_default =
        std::holds_alternative<std::monostate>(found_.stream);
    if (by_default && type == mx::float32 && is_used(inputs, kForDifferences)) {
      const auto where = where_of(c, mx::float64, "dense");
      guarded(found_, Check::derivative, where, [&] {
        check_by_differences(call, split, inputs, where, found_);
      });
    }
  }

  void run_special(
      const lang::Define& defined,
      const lang::Case& c,
      mx::Dtype type) {
    if (class_of(defined.body()) == measure::OpClass::product) {
      return;
    }
    for (const auto& variant : special_variants(defined, c, type)) {
      check_outputs(
          kernel_,
          c.attributes,
          variant.inputs,
          Check::special,
          where_of(c, type, variant.name),
          found_);
    }
  }

  void
  run_ties(const lang::Define& defined, const lang::Case& c, mx::Dtype type) {
    if (!has_node(defined.body(), [](const lang::Node& n) {
          return (lang::Op::MaxOf <= n.op && n.op <= lang::Op::ArgMin) ||
              n.op == lang::Op::TopValues || n.op == lang::Op::TopPlaces;
        })) {
      return;
    }
    const auto variant = tied_variant(defined, c, type);
    const auto where = where_of(c, type, variant.name);
    check_outputs(
        kernel_, c.attributes, variant.inputs, Check::ties, where, found_);
    run_gradient_kernel(defined, c, variant.inputs, where);
  }

  void
  run_zeros(const lang::Define& defined, const lang::Case& c, mx::Dtype type) {
    const auto call = kernel_.with(c.attributes).call();
    const auto split = split_gradients(*call, float_inputs(defined, c), found_);
    const bool divides = std::any_of(
        split.by_kernel.begin(), split.by_kernel.end(), [&](int input) {
          std::string why;
          return divides_by_rows(call->gradient({input}, &why)->body);
        });
    if (!divides) {
      return;
    }
    for (const auto& variant : zero_variants(defined, c, type)) {
      const auto where = where_of(c, type, variant.name);
      check_outputs(
          kernel_, c.attributes, variant.inputs, Check::zeros, where, found_);
      check_finite_gradient(
          call, split.by_kernel, variant.inputs, where, found_);
    }
  }

  void run_empty(const lang::Define& defined, const lang::Case& c) {
    const auto inputs = inputs_of(defined, c, mx::float32, Layout::dense);
    const auto where = where_of(c, mx::float32, "dense");
    check_outputs(kernel_, c.attributes, inputs, Check::empty, where, found_);
    run_gradient_kernel(defined, c, inputs, where);
  }

  void run_gradient_kernel(
      const lang::Define& defined,
      const lang::Case& c,
      const std::vector<mx::array>& inputs,
      const std::string& where) {
    const auto call = kernel_.with(c.attributes).call();
    const auto split = split_gradients(*call, float_inputs(defined, c), found_);
    if (!split.by_kernel.empty()) {
      check_gradient_kernel(
          call, split.by_kernel, inputs, Layout::dense, where, found_);
    }
  }

  const op::Op& kernel_;
  KernelCheck& found_;
  const int64_t smallest_; // elements of the smallest case with some
};

// How often the reference ran for each kernel and reason, so far.
std::map<std::pair<std::string, std::string>, int64_t> fallbacks_now() {
  std::map<std::pair<std::string, std::string>, int64_t> counts;
  for (const auto& fallback : op::fallbacks()) {
    counts[{fallback.kernel, fallback.reason}] = fallback.count;
  }
  return counts;
}

void find_fallbacks(
    const std::map<std::pair<std::string, std::string>, int64_t>& before,
    KernelCheck& found) {
  bool autodiff = false;
  for (const auto& [key, count] : fallbacks_now()) {
    const auto& [kernel, reason] = key;
    const auto known = before.find(key);
    if (known != before.end() && known->second == count) {
      continue;
    }
    if (kernel == found.kernel && reason.starts_with("its gradient: ")) {
      autodiff = true;
    } else if (kernel == found.kernel) {
      found.on_cpu = false;
      found.why_not_on_cpu = reason;
      found.fail(Check::fallback, "value", "ran as MLX operations: " + reason);
    } else if (kernel == found.kernel + "_gradient") {
      found.gradient_on_cpu = false;
      found.why_gradient_not_on_cpu = reason;
      found.fail(
          Check::fallback, "gradient", "ran as MLX operations: " + reason);
    }
  }
  if (!autodiff) { // made of kernels, though not one
    for (const auto& [input, why] : found.no_gradient) {
      found.gradient_inputs.push_back(input);
    }
    found.no_gradient.clear();
  }
}

std::vector<std::string> input_types_of(const op::Op& kernel) {
  const auto defined = kernel.define();
  const auto& listed = defined.listed_cases();
  std::vector<std::string> types;
  for (size_t i = 0; i < defined.body().inputs.size(); ++i) {
    const auto type = listed.empty() ? std::optional<lang::Type>{}
                                     : fill_of(defined, listed[0], i).type;
    types.push_back(
        defined.body().inputs[i].name + ": " +
        (type ? std::string(lang::name_of(*type))
              : "float32|float16|bfloat16"));
  }
  return types;
}

} // namespace

const char* name_of(Check check) {
  switch (check) {
    case Check::value:
      return "value";
    case Check::special:
      return "special";
    case Check::ties:
      return "ties";
    case Check::zeros:
      return "zeros";
    case Check::empty:
      return "empty";
    case Check::gradient:
      return "gradient";
    case Check::derivative:
      return "derivative";
    case Check::fallback:
      return "fallback";
  }
  return "";
}

int64_t KernelCheck::all_comparisons() const {
  return std::accumulate(comparisons.begin(), comparisons.end(), int64_t{0});
}

void KernelCheck::compared(
    Check check,
    const std::string& where,
    const measure::Comparison& result) {
  comparisons[static_cast<size_t>(check)]++;
  values += static_cast<int64_t>(result.size);
  if (!result.ok()) {
    fail(check, where, result.to_string());
  }
}

void KernelCheck::fail(Check check, std::string where, std::string what) {
  if (++failed <= static_cast<int64_t>(kKept)) {
    failures.push_back({check, std::move(where), std::move(what)});
  }
}

KernelCheck check_kernel(
    const op::Op& kernel,
    const std::function<void(const lang::Case&)>& progress,
    mx::StreamOrDevice stream) {
  KernelCheck found;
  found.stream = stream;
  found.kernel = kernel.name();
  found.family = kernel.family();
  found.input_types = input_types_of(kernel);
  const auto before = fallbacks_now();
  const auto cases = kernel.define().listed_cases();
  if (cases.empty()) {
    found.fail(Check::value, "cases", "the kernel lists none");
  }
  Checker checker(kernel, found);
  for (const auto& c : cases) {
    if (progress) {
      progress(c);
    }
    found.cases++;
    guarded(found, Check::value, c.name, [&] { checker.run_case(c); });
  }
  guarded(found, Check::value, "made cases", [&] { checker.run_variants(); });
  find_fallbacks(before, found);
  return found;
}

std::vector<KernelCheck> check_kernels(
    const std::vector<const op::Op*>& kernels,
    const CheckProgress& progress,
    mx::StreamOrDevice stream) {
  int total = 0, done = 0;
  for (const auto* kernel : kernels) {
    total += static_cast<int>(kernel->define().listed_cases().size());
  }
  std::vector<KernelCheck> results;
  for (const auto* kernel : kernels) {
    const auto before_case = [&](const lang::Case&) {
      if (progress) {
        progress(kernel->name(), done, total);
      }
      ++done;
    };
    results.push_back(check_kernel(*kernel, before_case, stream));
  }
  return results;
}

} // namespace zmlx::lab
