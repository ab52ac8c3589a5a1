#include "zmlx/lab/case_variants.h"

#include <cmath>
#include <limits>
#include <map>

#include "zmlx/base/errors.h"
#include "zmlx/lab/case_inputs.h"
#include "zmlx/lang/space.h"

namespace zmlx::lab {

namespace {

// An array of values that the formula takes as they come.
bool is_free(const lang::Define& kernel, const lang::Case& c, size_t input) {
  const auto role = kernel.body().inputs[input].role;
  return role != lang::Role::Scalar && role != lang::Role::Whole &&
      is_float_input(kernel, c, input);
}

mx::array with_some(const mx::array& a, double value) {
  const auto n = static_cast<int>(a.size());
  const auto place = mx::reshape(mx::arange(n), a.shape());
  const auto chosen = mx::logical_or(
      mx::equal(place, mx::array(n / 3)), mx::equal(place, mx::array(n - 1)));
  return mx::where(chosen, mx::array(value, a.dtype()), a);
}

bool takes(const lang::Define& kernel, const lang::Case& c) {
  try {
    lang::infer_shapes(kernel.body(), c.shapes);
    return true;
  } catch (const UserError&) {
    return false;
  }
}

// A row without elements has no place that an index could name.
bool picks_by_input(const lang::Body& body) {
  bool found = false;
  lang::for_each_node(lang::roots(body), [&](const lang::Node& node) {
    if (node.op == lang::Op::Pick) {
      lang::for_each_node({node.args[1]}, [&](const lang::Node& below) {
        found = found || below.op == lang::Op::Input;
      });
    }
  });
  return found;
}

} // namespace

std::vector<lang::Case> typical_cases(
    const lang::Kernel& kernel,
    int64_t elements) {
  std::map<lang::Attributes, std::pair<int64_t, lang::Case>> largest;
  const auto defined = kernel.define();
  for (const auto& c : defined.listed_cases()) {
    int64_t least = std::numeric_limits<int64_t>::max(), all = 0;
    for (const auto& shape : c.shapes) {
      least = std::min(least, lang::count(shape));
      all += lang::count(shape);
    }
    auto& known = largest[c.attributes];
    if (least > 0 && all <= elements && all > known.first) {
      known = {all, c};
    }
  }
  std::vector<lang::Case> cases;
  for (const auto& [attributes, known] : largest) {
    if (known.first > 0) {
      cases.push_back(known.second);
    }
  }
  return cases;
}

std::vector<Variant> special_variants(
    const lang::Define& kernel,
    const lang::Case& c,
    mx::Dtype type) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::pair<const char*, double> values[] = {
      {"NaN", std::nan("")}, {"inf", infinity}, {"-inf", -infinity}};
  const auto plain = inputs_of(kernel, c, type, Layout::dense);
  std::vector<Variant> variants;
  for (size_t i = 0; i < plain.size(); ++i) {
    if (!is_free(kernel, c, i) || fill_of(kernel, c, i).type) {
      continue;
    }
    for (const auto& [name, value] : values) {
      Variant v{kernel.body().inputs[i].name + " has " + name, plain};
      v.inputs[i] = with_some(plain[i], value);
      v.inputs[i].eval();
      variants.push_back(std::move(v));
    }
  }
  return variants;
}

Variant
tied_variant(const lang::Define& kernel, const lang::Case& c, mx::Dtype type) {
  Variant v{"few values", inputs_of(kernel, c, type, Layout::dense)};
  for (size_t i = 0; i < v.inputs.size(); ++i) {
    if (is_free(kernel, c, i)) {
      const auto fill = fill_of(kernel, c, i);
      auto& a = v.inputs[i];
      const auto number = [&](double x) { return mx::array(x, a.dtype()); };
      const double step = (fill.high - fill.low) / 2;
      const auto steps = mx::round(mx::divide(
          mx::subtract(a, number(fill.low)), number(step == 0 ? 1 : step)));
      a = mx::add(mx::multiply(steps, number(step)), number(fill.low));
    }
  }
  mx::eval(v.inputs);
  return v;
}

std::vector<Variant>
zero_variants(const lang::Define& kernel, const lang::Case& c, mx::Dtype type) {
  const auto plain = inputs_of(kernel, c, type, Layout::dense);
  std::vector<Variant> variants;
  for (size_t i = 0; i < plain.size(); ++i) {
    const auto& a = plain[i];
    if (!is_free(kernel, c, i) || a.ndim() == 0) {
      continue;
    }
    const auto place =
        mx::reshape(mx::arange(static_cast<int>(a.size())), a.shape());
    const auto chosen = mx::less(place, mx::array(a.shape(-1)));
    Variant v{kernel.body().inputs[i].name + " has a row of zeros", plain};
    v.inputs[i] = mx::where(chosen, mx::array(0, a.dtype()), a);
    v.inputs[i].eval();
    variants.push_back(std::move(v));
  }
  return variants;
}

std::vector<lang::Case> empty_cases(
    const lang::Define& kernel,
    const lang::Case& c) {
  lang::Case rows = c, elements = c;
  rows.name = "no rows";
  elements.name = "rows of no elements";
  size_t rank = 0;
  for (const auto& shape : c.shapes) {
    rank = std::max(rank, shape.size());
  }
  for (size_t i = 0; i < c.shapes.size(); ++i) {
    const auto role = kernel.body().inputs[i].role;
    auto& none = rows.shapes[i];
    const size_t meets = none.size() + (role == lang::Role::EachRow ? 1 : 0);
    if (rank > 1 && meets == rank && role != lang::Role::Table) {
      none.front() = 0;
    }
    if (role != lang::Role::EachRow && !elements.shapes[i].empty()) {
      elements.shapes[i].back() = 0;
    }
  }
  if (picks_by_input(kernel.body())) {
    elements.shapes = c.shapes;
  }
  std::vector<lang::Case> cases;
  for (const auto& made : {rows, elements}) {
    if (made.shapes != c.shapes && takes(kernel, made)) {
      cases.push_back(made);
    }
  }
  return cases;
}

} // namespace zmlx::lab
