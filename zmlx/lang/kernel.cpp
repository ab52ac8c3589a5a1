#include "zmlx/lang/kernel.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "zmlx/base/errors.h"
#include "zmlx/base/hash.h"
#include "zmlx/base/text.h"
#include "zmlx/lang/derive.h"
#include "zmlx/lang/intern.h"

namespace zmlx::lang {

std::vector<Expr> roots(const Body& body) {
  std::vector<Expr> trees;
  for (const Output& output : body.outputs) {
    trees.push_back(output.value);
  }
  for (const Output& output : body.outputs) {
    if (output.into) {
      trees.push_back(output.into->row);
    }
  }
  return trees;
}

Expr Define::input(std::string name, Role role) {
  for (const Input& other : body_.inputs) {
    if (other.name == name) {
      throw internal_error("a kernel has two inputs '{}'", name);
    }
  }
  if (cotangents_) {
    throw internal_error("input '{}' comes after a cotangent", name);
  }
  body_.inputs.push_back({std::move(name), role});
  return lang::input(static_cast<int>(body_.inputs.size()) - 1);
}

int Define::attribute(const std::string& name, int otherwise) {
  const double value = number(name, otherwise);
  if (value != std::floor(value) || std::abs(value) > 2147483647.0) {
    throw user_error(
        "attribute '{}': expected an integer, got {}", name, value);
  }
  return static_cast<int>(value);
}

double Define::number(const std::string& name, double otherwise) {
  auto given = given_.find(name);
  double value = given == given_.end() ? otherwise : given->second;
  asked_[name] = value;
  return value;
}

void Define::rows(const Expr& table, int64_t count) {
  if (table->op != Op::Input || count < 1 ||
      body_.inputs.at(table->input).role != Role::Table) {
    throw internal_error("rows: expected a table and a number of rows");
  }
  body_.inputs[table->input].rows = count;
}

void Define::width(const Expr& input, int times, int over, bool up) {
  if (input->op != Op::Input || times < 1 || over < 1) {
    throw internal_error("width: expected an input, times >= 1 and over >= 1");
  }
  space({{input->input, -1, times, over, up}});
}

void Define::space(std::vector<AxisLength> axes) {
  body_.space = std::move(axes);
}

Weight Define::weight(const std::string& name, int bits, int group_size) {
  return bits > 0 ? weight(name, WeightFormat::Affine, bits, group_size)
                  : weight(name, WeightFormat::Dense, 0, 0);
}

Weight Define::weight(
    const std::string& name,
    WeightFormat format,
    int bits,
    int group_size) {
  Weight weight{format, bits, group_size};
  const auto parts = row_of(format).parts;
  for (size_t p = 0; p < parts.size(); ++p) {
    std::string own(parts[p].name);
    own = own.empty() ? name : name + "_" + own;
    weight.parts[p] = input(std::move(own), Role::Whole)->input;
  }
  return weight;
}

void Define::output(Expr value, std::string name) {
  body_.outputs.push_back({std::move(name), std::move(value), -1, {}});
}

void Define::output(Expr value, Type type, std::string name) {
  body_.outputs.push_back({std::move(name), std::move(value), -1, type});
}

void Define::output_like(Expr value, const Expr& input, std::string name) {
  if (input->op != Op::Input) {
    throw internal_error("output '{}' is like something not an input", name);
  }
  body_.outputs.push_back(
      {std::move(name), std::move(value), input->input, {}});
}

void Define::output_rows(Expr value, Expr row, int64_t rows, std::string name) {
  if (rows < 0) {
    throw user_error(
        "output '{}': expected at least 0 rows, got {}", name, rows);
  }
  output(std::move(value), std::move(name));
  body_.outputs.back().into = RowSum{std::move(row), -1, rows};
}

void Define::output_rows_like(
    Expr value,
    Expr row,
    const Expr& input,
    std::string name) {
  output_like(std::move(value), input, std::move(name));
  body_.outputs.back().into = RowSum{std::move(row), input->input, 0};
}

void Define::output_sum_like(Expr value, const Expr& input, std::string name) {
  output_like(std::move(value), input, std::move(name));
  body_.outputs.back().sum_like = input->input;
}

Expr Define::cotangent(int output) {
  cotangents_ = true;
  return lang::input(static_cast<int>(body_.inputs.size()) + output);
}

void Define::gradient(const Expr& input, Expr value) {
  if (input->op != Op::Input) {
    throw internal_error("gradient: expected an input");
  }
  cotangents_ = true;
  given_gradients_.emplace_back(input->input, std::move(value));
}

void Define::gradient(
    const Expr& input,
    const std::function<void(Define&)>& define) {
  if (input->op != Op::Input) {
    throw internal_error("gradient: expected an input");
  }
  Define own(given_);
  define(own);
  own.finish();
  gradient_kernels_.emplace_back(input->input, own.body());
}

void Define::finish() {
  for (auto& [input, value] : given_gradients_) {
    auto body = std::make_shared<Body>(Body{with_cotangents(body_), {}});
    body->space = body_.space;
    body->outputs.push_back(gradient_output(body_, input, std::move(value)));
    body_.gradients[input] = std::move(body);
  }
  given_gradients_.clear();
  for (auto& [input, own] : gradient_kernels_) {
    const size_t outputs = body_.outputs.size();
    const size_t usual = body_.inputs.size() + outputs;
    const size_t read = own.inputs.size();
    if (own.outputs.size() != 1 || (read != usual && read != usual + outputs)) {
      throw internal_error(
          "the gradient of '{}' has {} inputs and {} outputs",
          body_.inputs[input].name,
          own.inputs.size(),
          own.outputs.size());
    }
    own.outputs[0].name = "d_" + body_.inputs[input].name;
    body_.gradients[input] = std::make_shared<Body>(std::move(own));
  }
  gradient_kernels_.clear();
}

void Define::fill(const Expr& input, Fill values) {
  if (input->op != Op::Input) {
    throw internal_error("fill: expected an input");
  }
  fills_[body_.inputs.at(input->input).name] = values;
}

void Define::cases(std::vector<Case> list) {
  cases_ = std::move(list);
}

Kernel::Kernel(std::string name, std::string summary, Definition define)
    : name_(std::move(name)),
      summary_(std::move(summary)),
      definition_(std::move(define)) {}

Define Kernel::define(const Attributes& attributes) const {
  Define result(attributes);
  definition_(result);
  result.finish();
  for (const auto& [name, value] : attributes) {
    if (!result.attributes().contains(name)) {
      std::vector<std::string> known;
      for (const auto& [other, unused] : result.attributes()) {
        known.push_back(other);
      }
      throw user_error(
          "{}: no attribute '{}'; it has {}.{}",
          name_,
          name,
          known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", ")),
          did_you_mean(name, known));
    }
  }
  return result;
}

std::string content_key(const Body& body) {
  Hasher hasher;
  hasher.add(body.inputs.size()).add(body.outputs.size());
  hasher.add(body.space.size());
  for (const AxisLength& a : body.space) {
    hasher.add(a.input).add(a.axis).add(a.times).add(a.over).add(a.up);
  }
  for (const Input& input : body.inputs) {
    hasher.add(input.name).add(input.role).add(input.rows);
  }
  Interner structures;
  std::vector<Expr> roots;
  for (const Output& output : body.outputs) {
    hasher.add(output.name)
        .add(output.like)
        .add(output.fixed ? static_cast<int>(*output.fixed) : -1)
        .add(output.fills)
        .add(output.sum_like)
        .add(structures.number(output.value));
    roots.push_back(output.value);
    hasher.add(output.into.has_value());
    if (output.into) {
      hasher.add(output.into->like)
          .add(output.into->rows)
          .add(structures.number(output.into->row));
      roots.push_back(output.into->row);
    }
  }
  for (const auto& [input, gradient] : body.gradients) {
    hasher.add(input).add(content_key(*gradient));
  }
  // Structures are numbered as first met, so that each adds its key once and
  // sharing leaves no trace.
  int added = 0;
  for (const Node* node : postorder(roots)) {
    if (structures.of(node) == added) {
      for (const uint64_t word : structures.key(*node)) {
        hasher.add(word);
      }
      ++added;
    }
  }
  return hasher.digest().hex();
}

} // namespace zmlx::lang
