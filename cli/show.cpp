#include <algorithm>
#include <cctype>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/output.h"
#include "zmlx/backend/cpu/cpu.h"
#include "zmlx/base/errors.h"
#include "zmlx/base/text.h"
#include "zmlx/lang/lower.h"
#include "zmlx/lang/parse.h"
#include "zmlx/lang/print.h"
#include "zmlx/op/op.h"

namespace zmlx::cli {

namespace {

struct ShowOptions {
  std::string what; // a kernel's name or a formula
  std::vector<std::string> inputs;
  std::vector<std::string> scalars;
  std::vector<std::string> attributes; // "bits=4"
  std::string type = "float32";
  bool json = false;
};

lang::Type type_named(const std::string& name) {
  std::vector<std::string> names;
  for (auto type :
       {lang::Type::F16, lang::Type::BF16, lang::Type::F32, lang::Type::F64}) {
    if (lang::name_of(type) == name) {
      return type;
    }
    names.emplace_back(lang::name_of(type));
  }
  throw user_error(
      "--type: expected {}, got \"{}\".{}",
      fmt::join(names, ", "),
      name,
      did_you_mean(name, names));
}

lang::Attributes attributes_of(const std::vector<std::string>& texts) {
  lang::Attributes attributes;
  for (const auto& text : texts) {
    const auto equals = text.find('=');
    size_t read = 0;
    double value = 0;
    try {
      value =
          std::stod(text.substr(std::min(equals, text.size() - 1) + 1), &read);
    } catch (const std::exception&) {
      read = 0;
    }
    if (equals == std::string::npos || equals + 1 + read != text.size() ||
        read == 0) {
      throw user_error("--with: expected NAME=NUMBER, got \"{}\"", text);
    }
    attributes[text.substr(0, equals)] = value;
  }
  return attributes;
}

bool is_name(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_';
  });
}

struct Shown {
  std::string name;
  std::string summary;
  lang::Body body;
  std::map<std::string, lang::Fill> fills;
};

Shown find(const ShowOptions& o) {
  const bool formula = !o.inputs.empty() || !o.scalars.empty();
  if (is_name(o.what) && !formula) {
    const auto& kernel = op::find_op(o.what);
    const auto defined = kernel.define(attributes_of(o.attributes));
    return {kernel.name(), kernel.summary(), defined.body(), defined.fills()};
  }
  if (!o.attributes.empty()) {
    throw user_error("--with: a formula has no attributes");
  }
  const auto arrays =
      o.inputs.empty() ? std::vector<std::string>{"x"} : o.inputs;
  return {
      "formula",
      "",
      lang::parse(o.what, lang::formula_inputs(arrays, o.scalars)),
      {}};
}

std::vector<lang::Type> input_types(const Shown& shown, lang::Type type) {
  std::vector<lang::Type> types(shown.body.inputs.size(), type);
  std::vector<lang::Expr> roots;
  for (size_t i = 0; i < types.size(); ++i) {
    const auto fill = shown.fills.find(shown.body.inputs[i].name);
    if (fill != shown.fills.end() && fill->second.type) {
      types[i] = *fill->second.type;
    }
  }
  for (const auto& output : shown.body.outputs) {
    roots.push_back(output.value);
  }
  lang::for_each_node(roots, [&](const lang::Node& node) {
    if (node.op == lang::Op::Product &&
        node.weight.format == lang::WeightFormat::Affine) {
      types[node.weight.w] = lang::Type::U32;
    } else if (node.op == lang::Op::Attention) {
      types[node.args[3]->input] = lang::Type::I32;
    }
  });
  return types;
}

struct Costs {
  int64_t operations = 0; // a place of the row
  int64_t bytes = 0; // read and written a place, where nothing is broadcast
};

Costs costs_of(const lang::Body& body, const std::vector<lang::Type>& types) {
  Costs costs;
  std::vector<lang::Expr> roots;
  for (const auto& output : body.outputs) {
    roots.push_back(output.value);
  }
  lang::for_each_node(roots, [&](const lang::Node& node) {
    costs.operations += !node.args.empty() && node.op != lang::Op::As &&
        node.op != lang::Op::Cast && node.op != lang::Op::Pick;
  });
  for (size_t i = 0; i < types.size(); ++i) {
    if (body.inputs[i].role == lang::Role::Element) {
      costs.bytes += static_cast<int64_t>(lang::size_of(types[i]));
    }
  }
  for (auto type : lang::infer_types(body, types)) {
    costs.bytes += static_cast<int64_t>(lang::size_of(type));
  }
  return costs;
}

int run_show(const ShowOptions& o) {
  const auto shown = find(o);
  const auto types = input_types(shown, type_named(o.type));
  std::string why;
  const auto program = lang::lower(shown.body, types, &why);
  std::string cpu = program ? "runs" : why;
  if (program) {
    cpu = backend::cpu::instance().unsupported(*program).value_or("runs");
  }
  const auto formula = lang::print(shown.body);
  const auto lowered = program ? lang::to_text(*program) : std::string();
  const auto costs = costs_of(shown.body, types);
  if (o.json) {
    const nlohmann::ordered_json document{
        {"name", shown.name},
        {"summary", shown.summary},
        {"formula", formula},
        {"type", o.type},
        {"program", lowered},
        {"operations", costs.operations},
        {"bytes", costs.bytes},
        {"cpu", cpu}};
    write(stdout, document.dump(2) + "\n");
    return exit_ok;
  }
  std::string inputs;
  for (size_t i = 0; i < types.size(); ++i) {
    inputs += fmt::format(
        "{}{} {}",
        i == 0 ? "" : ", ",
        shown.body.inputs[i].name,
        lang::name_of(types[i]));
  }
  write(
      stdout,
      fmt::format(
          "{}{}{}\n\ninputs   {}\nformula  {}\ncosts    {} operations and {} "
          "a place\ncpu      {}\n\n{}",
          shown.name,
          shown.summary.empty() ? "" : ": ",
          shown.summary,
          inputs,
          formula,
          costs.operations,
          format_bytes(static_cast<double>(costs.bytes)),
          cpu,
          lowered));
  return exit_ok;
}

const CommandRegistration command({
    "show",
    "Print a kernel's formula and what it is lowered to",
    [](CLI::App& app) -> std::function<int()> {
      auto o = std::make_shared<ShowOptions>();
      app.add_option("kernel", o->what, "A kernel's name, or a formula")
          ->required();
      app.add_option(
             "--inputs", o->inputs, "Names of a formula's arrays; x alone")
          ->delimiter(',');
      app.add_option(
             "--scalars", o->scalars, "Names of a formula's run-time numbers")
          ->delimiter(',');
      app.add_option("--with", o->attributes, "Attributes, as bits=8")
          ->delimiter(',');
      app.add_option("--type", o->type, "Type of the arrays")
          ->capture_default_str();
      app.add_flag("--json", o->json, "Print one JSON document");
      return [o] { return run_show(*o); };
    },
});

} // namespace

} // namespace zmlx::cli
