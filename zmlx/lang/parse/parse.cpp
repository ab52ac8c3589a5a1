#include "zmlx/lang/parse.h"

#include <fmt/format.h>

#include "zmlx/base/errors.h"
#include "zmlx/lang/parse/parser.h"
#include "zmlx/lang/parse/token.h"

namespace zmlx::lang {
namespace {

using namespace parse_detail;

void require_readable(const Source& source) {
  if (source.text().size() > kMaxFormulaBytes) {
    source.fail(
        kMaxFormulaBytes,
        1,
        fmt::format(
            "the formula has {} bytes; at most {} are read",
            source.text().size(),
            kMaxFormulaBytes));
  }
}

/// How an array is read by all that read it.
struct Reads {
  bool as_table = false; // by take, as what it takes from
  bool as_row = false; // by take, as the whole of its row
  bool otherwise = false;
};

// An array that only take() reads has one role that makes sense.
void find_roles(Body& body) {
  const int count = static_cast<int>(body.inputs.size());
  std::vector<Reads> reads(body.inputs.size());
  const auto mark = [&](const Node& reader, size_t operand) {
    const Node& read = *reader.args[operand];
    if (read.op == Op::Input && read.input < count) {
      bool& use = reader.op != Op::Take ? reads[read.input].otherwise
          : operand == 0                ? reads[read.input].as_table
                                        : reads[read.input].as_row;
      use = true;
    }
  };
  for_each_node(roots(body), [&](const Node& node) {
    for (size_t i = 0; i < node.args.size(); ++i) {
      mark(node, i);
    }
  });
  for (const Output& output : body.outputs) {
    if (output.value->op == Op::Input && output.value->input < count) {
      reads[output.value->input].otherwise = true;
    }
  }
  for (size_t i = 0; i < reads.size(); ++i) {
    const Reads& r = reads[i];
    Role& role = body.inputs[i].role;
    if (role == Role::Element && !r.otherwise && r.as_table != r.as_row) {
      role = r.as_table ? Role::Table : Role::EachRow;
    }
  }
}

} // namespace

Body parse(
    std::string_view text,
    const std::vector<Input>& inputs,
    const ParseOptions& options) {
  Source source(text, options.name);
  require_readable(source);
  Body body = Parser(source, inputs, options).run();
  find_roles(body);
  return body;
}

std::vector<NamedValue> parse_definitions(
    std::string_view text,
    const std::vector<Input>& inputs,
    const ParseOptions& options) {
  Source source(text, options.name);
  require_readable(source);
  return Parser(source, inputs, options).definitions();
}

std::vector<Input> formula_inputs(
    const std::vector<std::string>& arrays,
    const std::vector<std::string>& scalars) {
  std::vector<Input> inputs;
  for (const std::string& name : arrays) {
    inputs.push_back({name, Role::Element});
  }
  for (const std::string& name : scalars) {
    inputs.push_back({name, Role::Scalar});
  }
  return inputs;
}

} // namespace zmlx::lang
