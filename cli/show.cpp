#include <algorithm>
#include <cctype>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/kernel_facts.h"
#include "cli/output.h"
#include "zmlx/backend/backend.h"
#include "zmlx/base/errors.h"
#include "zmlx/base/text.h"
#include "zmlx/lang/lower.h"
#include "zmlx/lang/parse.h"
#include "zmlx/op/op.h"

namespace zmlx::cli {

namespace {

struct ShowOptions {
  std::string what; // a kernel's name or a formula
  std::vector<std::string> inputs;
  std::vector<std::string> scalars;
  std::vector<std::string> attributes; // "bits=4"
  std::string type = "float32";
  bool gradient = false;
  bool assembly = false;
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
  std::vector<lang::Shape> shapes; // whose code --asm prints; none: no case
  lang::Spans spans = {}; // of a formula's text
};

// Those of the first case with these attributes, if any.
std::vector<lang::Shape> case_shapes(
    const lang::Define& defined,
    const lang::Attributes& attributes) {
  for (const auto& it : defined.listed_cases()) {
    if (it.attributes == attributes) {
      return it.shapes;
    }
  }
  return {};
}

// Rows of a usual length.
std::vector<lang::Shape> formula_shapes(const lang::Body& body) {
  constexpr int64_t kRows = 64, kWidth = 1024;
  std::vector<lang::Shape> shapes;
  for (const auto& input : body.inputs) {
    switch (input.role) {
      case lang::Role::Scalar:
        shapes.emplace_back();
        break;
      case lang::Role::EachRow:
        shapes.push_back({kRows});
        break;
      default:
        shapes.push_back({kRows, kWidth});
    }
  }
  return shapes;
}

const char kOnlyInput[] = "x"; // of a formula, where none are named

Shown find_formula(const ShowOptions& o) {
  const bool named = !o.inputs.empty() || !o.scalars.empty();
  const auto arrays =
      o.inputs.empty() ? std::vector<std::string>{kOnlyInput} : o.inputs;
  lang::Spans spans;
  const auto body = lang::parse(
      o.what,
      lang::formula_inputs(arrays, o.scalars),
      {.unknown_name =
           named ? "" : " Name the arrays of a formula with --inputs a,b.",
       .spans = &spans});
  return {"formula", "", body, {}, formula_shapes(body), std::move(spans)};
}

Shown find(const ShowOptions& o) {
  const bool formula =
      !o.inputs.empty() || !o.scalars.empty() || o.what == kOnlyInput;
  if (is_name(o.what) && !formula) {
    const auto& kernel = op::find_op(o.what);
    const auto attributes = attributes_of(o.attributes);
    const auto defined = kernel.define(attributes);
    return {
        kernel.name(),
        kernel.summary(),
        defined.body(),
        defined.fills(),
        case_shapes(defined, attributes)};
  }
  if (!o.attributes.empty()) {
    throw user_error("--with: a formula has no attributes");
  }
  return find_formula(o);
}

/// What becomes of the body, and its gradients. A formula that has no meaning
/// for the types is shown with the part that has none.
struct Found {
  Facts facts;
  std::vector<GradientFacts> gradients;
};

Found find_facts(
    const ShowOptions& o,
    const Shown& shown,
    const std::vector<lang::Type>& types) {
  try {
    return {facts_of(shown.body, types), gradients_of(shown.body, types)};
  } catch (const lang::TypeError& error) {
    const auto at = shown.spans.find(error.where);
    if (at == shown.spans.end()) {
      throw;
    }
    lang::fail_formula(o.what, shown.name, at->second, error.what());
  }
}

nlohmann::ordered_json to_json(const Facts& facts, bool with_program) {
  nlohmann::ordered_json document{
      {"inputs", facts.inputs}, {"formula", facts.formula}};
  if (with_program) {
    document["program"] = facts.program;
  }
  document["operations"] = facts.costs.operations;
  document["bytes"] = facts.costs.bytes;
  document["cpu"] = facts.cpu;
  return document;
}

std::string indented(const std::string& text, size_t columns) {
  std::string result;
  for (char c : text) {
    result += c;
    result += c == '\n' ? std::string(columns, ' ') : "";
  }
  return result;
}

std::string to_text(const Facts& facts) {
  return fmt::format(
      "inputs   {}\nformula  {}\ncosts    {} operations and {} a place\n"
      "cpu      {}\n",
      fmt::join(facts.inputs, ", "),
      indented(facts.formula, 9),
      facts.costs.operations,
      format_bytes(static_cast<double>(facts.costs.bytes)),
      facts.cpu);
}

void print_json(
    const ShowOptions& o,
    const Shown& shown,
    const Facts& facts,
    const std::vector<GradientFacts>& gradients) {
  nlohmann::ordered_json document{
      {"name", shown.name}, {"summary", shown.summary}, {"type", o.type}};
  document.update(to_json(facts, true));
  auto list = nlohmann::ordered_json::object();
  for (const auto& g : gradients) {
    list[g.input] = g.facts ? to_json(*g.facts, o.gradient)
                            : nlohmann::ordered_json{{"why_none", g.why}};
  }
  document["gradients"] = std::move(list);
  write(stdout, document.dump(2) + "\n");
}

void print_text(
    const ShowOptions& o,
    const Shown& shown,
    const Facts& facts,
    const std::vector<GradientFacts>& gradients) {
  auto text = shown.name + (shown.summary.empty() ? "" : ": ") + shown.summary +
      "\n\n" + to_text(facts);
  for (const auto& g : gradients) {
    text += fmt::format("\ngradient of {}\n", g.input);
    text += g.facts ? to_text(*g.facts)
                    : fmt::format("none as a kernel: {}\n", g.why);
  }
  text += "\n" + facts.program;
  for (const auto& g : gradients) {
    if (o.gradient && g.facts) {
      text += fmt::format("\ngradient of {}: {}", g.input, g.facts->program);
    }
  }
  write(stdout, text);
}

std::string assembly_of(
    const Shown& shown,
    const std::vector<lang::Type>& types,
    const Facts& facts) {
  std::string why;
  const auto program = lang::lower(shown.body, types, &why);
  if (!program || facts.cpu != "runs") {
    return fmt::format("Nothing is assembled: {}.\n", facts.cpu);
  }
  if (shown.shapes.size() != types.size()) {
    return "Nothing is listed: no case of the kernel has these attributes.\n";
  }
  const auto* peer = backend::find_peer(mlx::core::Device::cpu);
  return peer->listing(
      *program, shown.shapes, lang::infer_shapes(shown.body, shown.shapes));
}

int run_show(const ShowOptions& o) {
  const auto shown = find(o);
  const auto types = input_types(shown.body, shown.fills, type_named(o.type));
  const auto [facts, gradients] = find_facts(o, shown, types);
  if (o.assembly) {
    const auto text = assembly_of(shown, types, facts);
    write(
        stdout,
        o.json ? nlohmann::ordered_json{{"assembly", text}}.dump(2) + "\n"
               : text);
    return exit_ok;
  }
  (o.json ? print_json : print_text)(o, shown, facts, gradients);
  return exit_ok;
}

const CommandRegistration command({
    "show",
    "Print a kernel's formula, its gradients and what they are lowered to",
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
      app.add_flag(
          "--gradient", o->gradient, "Print the gradients' programs too");
      app.add_flag(
          "--asm", o->assembly, "Print the machine code of its loops instead");
      app.add_flag("--json", o->json, "Print one JSON document");
      return [o] { return run_show(*o); };
    },
});

} // namespace

} // namespace zmlx::cli
