#include "zmlx/op/elementwise.h"

#include <algorithm>
#include <map>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "zmlx/base/errors.h"
#include "zmlx/base/text.h"
#include "zmlx/lang/derive.h"
#include "zmlx/lang/parse.h"

namespace zmlx::op {
namespace {

std::string without_comments(std::string_view text) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const auto rest = text.substr(at);
    const bool line = rest.starts_with("//");
    if (!line && !rest.starts_with("/*")) {
      result += text[at++];
      continue;
    }
    // The end of a line comment stays.
    const size_t end = text.find(line ? "\n" : "*/", at + 2);
    at = end == std::string_view::npos ? text.size() : end + (line ? 0 : 2);
  }
  return result;
}

/// The first line that is more than a preamble.
std::optional<std::string> code_in(const std::string& header) {
  const std::string text = without_comments(header);
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    line.erase(0, line.find_first_not_of(" \t\r"));
    line.erase(line.find_last_not_of(" \t\r") + 1);
    if (!line.empty() && !line.starts_with("#include") &&
        line != "using namespace metal;") {
      return line;
    }
  }
  return {};
}

void check_header(const Formula& formula) {
  constexpr size_t kShown = 60;
  if (auto code = code_in(formula.header)) {
    throw user_error(
        "{}: the header has code of its own ('{}{}'), and no text of a formula "
        "reaches a compiler; name values in the formula with 'T s = ...;', or "
        "write the kernel in Metal with zmlx.metal.kernel",
        formula.name,
        code->substr(0, kShown),
        code->size() > kShown ? "..." : "");
  }
}

/// Gradients by hand over the inputs of a body and its cotangents.
class Gradients {
 public:
  Gradients(const Formula& formula, lang::Body& body)
      : formula_(formula), body_(body), inputs_(body.inputs) {
    const bool single = body.outputs.size() == 1;
    for (const auto& output : body.outputs) {
      add_cotangent(single ? "g" : "g_" + output.name);
    }
    for (const auto& output : body.outputs) {
      if (output.name != "out" || !single) {
        refuse_known("output", output.name);
        names_.push_back({output.name, output.value});
      }
    }
    if (single && formula.use_output && !is_known("y")) {
      names_.push_back({"y", body.outputs[0].value});
    }
    auto defined = lang::parse_definitions(
        formula.gradient_prelude,
        inputs_,
        {.name = formula.name + ", gradient_prelude", .names = names_});
    names_.insert(names_.end(), defined.begin(), defined.end());
  }

  void add(int input, const std::string& text) {
    const auto name = fmt::format(
        "{}, the gradient of {}", formula_.name, body_.inputs[input].name);
    auto parsed = lang::parse(
        text, inputs_, {.name = name, .unused_allowed = true, .names = names_});
    if (parsed.outputs.size() != 1) {
      throw user_error(
          "{}: expected one value, got {} outputs",
          name,
          parsed.outputs.size());
    }
    auto gradient = std::make_shared<lang::Body>(
        lang::Body{lang::with_cotangents(body_), {}});
    gradient->outputs.push_back(
        lang::gradient_output(body_, input, parsed.outputs[0].value));
    if (!added_.emplace(input, std::move(gradient)).second) {
      throw user_error("{}: is given twice", name);
    }
  }

  void finish() {
    body_.gradients = std::move(added_);
  }

 private:
  void add_cotangent(const std::string& name) {
    refuse_known("input", name);
    inputs_.push_back({name, lang::Role::Element});
  }

  void refuse_known(std::string_view what, const std::string& name) const {
    if (is_known(name)) {
      throw user_error(
          "{}: an {} is called '{}', which is a cotangent in gradients; "
          "expected another name",
          formula_.name,
          what,
          name);
    }
  }

  bool is_known(const std::string& name) const {
    const auto named = [&](const auto& known) { return known.name == name; };
    return std::any_of(inputs_.begin(), inputs_.end(), named) ||
        std::any_of(names_.begin(), names_.end(), named);
  }

  const Formula& formula_;
  lang::Body& body_;
  std::vector<lang::Input> inputs_;
  std::vector<lang::NamedValue> names_;
  std::map<int, std::shared_ptr<const lang::Body>> added_;
};

int input_named(const lang::Body& body, const Formula& f, const Gradient& g) {
  std::vector<std::string> names;
  for (const auto& input : body.inputs) {
    names.push_back(input.name);
  }
  const auto found = std::find(names.begin(), names.end(), g.input);
  if (found == names.end()) {
    throw user_error(
        "{}: a gradient for '{}', which is no input; the inputs are {}.{}",
        f.name,
        g.input,
        fmt::join(names, ", "),
        did_you_mean(g.input, names));
  }
  return static_cast<int>(found - names.begin());
}

void check_count(const Formula& formula) {
  const auto& list = formula.gradients;
  const auto places = static_cast<size_t>(
      std::count_if(list.begin(), list.end(), [](const Gradient& g) {
        return g.input.empty();
      }));
  if (places != 0 &&
      (places != formula.inputs.size() || places != list.size())) {
    throw user_error(
        "{}: expected {} gradient{}, one for each of {} (or all by the names "
        "of their inputs), got {}",
        formula.name,
        formula.inputs.size(),
        formula.inputs.size() == 1 ? "" : "s",
        fmt::join(formula.inputs, ", "),
        list.size());
  }
}

void add_gradients(const Formula& formula, lang::Body& body) {
  if (formula.gradients.empty()) {
    if (!formula.gradient_prelude.empty()) {
      throw user_error(
          "{}: gradient_prelude stands before gradients, and none is given",
          formula.name);
    }
    return;
  }
  check_count(formula);
  Gradients gradients(formula, body);
  for (size_t i = 0; i < formula.gradients.size(); ++i) {
    const Gradient& g = formula.gradients[i];
    const int input =
        g.input.empty() ? static_cast<int>(i) : input_named(body, formula, g);
    if (!g.text.empty()) {
      gradients.add(input, g.text);
    }
  }
  gradients.finish();
}

} // namespace

BoundOp elementwise(const std::string& text, const Formula& formula) {
  check_header(formula);
  const auto inputs = lang::formula_inputs(formula.inputs, formula.scalars);
  auto body = lang::parse(text, inputs, {.name = formula.name});
  add_gradients(formula, body);
  return BoundOp(make_call(formula.name, std::move(body)));
}

} // namespace zmlx::op
