#include <algorithm>

#include <fmt/format.h>

#include "zmlx/base/text.h"
#include "zmlx/lang/parse/parser.h"

namespace zmlx::lang::parse_detail {

namespace {

constexpr int kMostPlaces = 1 << 30; // of top_values; shapes bound it further

ScanOrder scan_order(bool reverse, bool exclusive) {
  if (reverse) {
    return exclusive ? ScanOrder::ReverseExclusive : ScanOrder::Reverse;
  }
  return exclusive ? ScanOrder::ForwardExclusive : ScanOrder::Forward;
}

bool is_along_row(const Function& function) {
  const Expr value = function.build({input(0)});
  const auto nodes = postorder({value});
  return std::any_of(nodes.begin(), nodes.end(), [](const Node* node) {
    return along_row(node->op);
  });
}

/// What is meant by a number of arguments that a function does not take.
std::string_view hint_for_count(std::string_view name, int given) {
  if (given == 1 && (name == "max" || name == "min")) {
    return name == "max" ? "; for the largest of a row write max_of(x)"
                         : "; for the smallest of a row write min_of(x)";
  }
  const Function* function = find_function(name);
  const bool second = given == 2 && function != nullptr && function->most == 1;
  return second && is_along_row(*function) ? "; rows are the last axis" : "";
}

} // namespace

Expr Parser::call(const Token& name, bool metal) {
  std::string_view called = function_name(name.text);
  if (called == "T" || find_type(called)) {
    Args args = arguments(name, 1, 1);
    auto type = find_type(called);
    return type ? converted(*type, args[0]) : args[0];
  }
  if (is_special(called)) {
    return special_call(name, called);
  }
  const Function* function = find_function(called, metal);
  if (function == nullptr) {
    unknown_function(name);
  }
  return function->build(arguments(name, function->least, function->most));
}

// Those that want an input, a type or a number for an operand.
Expr Parser::special_call(const Token& name, std::string_view called) {
  if (called == "as" || called == "cast") {
    return typed_call(name);
  }
  if (called == "cumsum") {
    return cumsum_call(name);
  }
  if (called == "product") {
    return product_call(name);
  }
  if (called == "attention") {
    return attention_call(name);
  }
  Args args = arguments(name, 2, 2);
  if (called == "top_values" || called == "top_places") {
    const int k = integer_of(name, args[1], "k", 1, kMostPlaces);
    return called == "top_values" ? top_values(args[0], k)
                                  : top_places(args[0], k);
  }
  must_be_input(name, args[0]);
  if (called == "extent") {
    return extent(args[0], integer_of(name, args[1], "the axis", -64, 63));
  }
  return called == "pick" ? pick(args[0], args[1])
                          : lang::take(args[0], args[1]);
}

void Parser::unknown_function(const Token& name) const {
  std::string text(name.text);
  if (text == "if") {
    fail_at(name, "a formula has no 'if'; write condition ? a : b");
  }
  if (names_.contains(text)) {
    fail_at(
        name,
        fmt::format(
            "'{}' is no function; to multiply write {} * (...)", text, text));
  }
  fail_at(
      name,
      fmt::format(
          "unknown function '{}'.{}",
          text,
          did_you_mean(function_name(text), formula_functions())));
}

Args Parser::arguments(const Token& name, int least, int most) {
  const Token& open = take();
  return arguments_after(name, open, least, most);
}

Args Parser::arguments_after(
    const Token& name,
    const Token& open,
    int least,
    int most) {
  Args args;
  if (!now().is(")")) {
    do {
      refuse_named_argument();
      args.push_back(expression());
    } while (accept(","));
  }
  close(open);
  int count = static_cast<int>(args.size());
  if (count < least || count > most) {
    std::string expected = least == most
        ? fmt::format("{} argument{}", least, least == 1 ? "" : "s")
        : fmt::format("{} or {} arguments", least, most);
    fail_at(
        name,
        fmt::format(
            "{} takes {}, got {}{}",
            name.text,
            expected,
            count,
            hint_for_count(function_name(name.text), count)));
  }
  return args;
}

void Parser::refuse_named_argument() const {
  if (now().kind != Token::Kind::Name || !ahead(1).is("=")) {
    return;
  }
  const auto name = now().text;
  const bool axis = name == "axis" || name == "dim" || name == "keepdims";
  fail_here(
      axis ? fmt::format(
                 "no function has an argument '{}'; rows are the last "
                 "axis",
                 name)
           : "arguments have no names; expected a value");
}

Expr Parser::typed_call(const Token& name) {
  const Token& open = take();
  const Token& word = take();
  auto type = find_type(word.text);
  auto like = names_.find(std::string(word.text));
  const bool as_input = name.text == "as" && like != names_.end() &&
      like->second->op == Op::Input;
  if (!type && !as_input) {
    fail_at(
        word,
        fmt::format(
            "expected a type such as float16 in {}(type, x), got {}",
            name.text,
            describe(word)));
  }
  expect(",", "after the type");
  Expr value = expression();
  close(open);
  if (name.text == "cast") {
    return cast(*type, value);
  }
  return type ? as(*type, value) : as(like->second, value);
}

Expr Parser::cumsum_call(const Token& name) {
  Args args = arguments(name, 1, 3);
  if (args.size() == 2) {
    fail_at(name, "cumsum takes 1 or 3 arguments, got 2");
  }
  bool reverse = false;
  bool exclusive = false;
  if (args.size() == 3) {
    reverse = integer_of(name, args[1], "reverse", 0, 1);
    exclusive = integer_of(name, args[2], "exclusive", 0, 1);
  }
  return cumsum(args[0], scan_order(reverse, exclusive));
}

Expr Parser::attention_call(const Token& name) {
  Args args = arguments(name, 5, 5);
  for (int i = 0; i < 4; ++i) {
    must_be_input(name, args[i]);
  }
  double scale = number_of(name, args[4], "the scale");
  return attention(args[0], args[1], args[2], args[3], scale);
}

// The format's name comes first where it is not dense or affine.
std::optional<WeightFormat> Parser::format_name() {
  const auto format = find_format(now().text);
  if (!format || names_.contains(std::string(now().text)) ||
      !ahead(1).is(",")) {
    return {};
  }
  take();
  take();
  return format;
}

Expr Parser::product_call(const Token& name) {
  const Token& open = take();
  const auto named = format_name();
  Args args = arguments_after(name, open, 2, 3 + kMostParts + 2);
  const size_t given = args.size();
  Weight weight{
      named.value_or(given <= 3 ? WeightFormat::Dense : WeightFormat::Affine)};
  const FormatRow& row = row_of(weight.format);
  const size_t parts = row.parts.size();
  const size_t numbers = !row.bits.empty() + !row.group_sizes.empty();
  const size_t least = 1 + parts + numbers;
  if (given != least && given != least + 1) {
    fail_at(
        name,
        named ? fmt::format(
                    "product of {} weights takes {} arguments and, where there "
                    "are several matrices, which one; got {}",
                    row.name,
                    least,
                    given)
              : fmt::format(
                    "product takes (x, w) or (x, w, scales, biases, bits, "
                    "group_size), got {} arguments",
                    given));
  }
  const auto input_number = [&](size_t i) {
    must_be_input(name, args[i]);
    return args[i]->input;
  };
  for (size_t p = 0; p < parts; ++p) {
    weight.parts[p] = input_number(1 + p);
  }
  size_t at = 1 + parts;
  if (!row.bits.empty()) {
    weight.bits = integer_of(name, args[at++], "the number of bits", 1, 32);
  }
  if (!row.group_sizes.empty()) {
    weight.group_size =
        integer_of(name, args[at++], "the group size", 1, 65536);
  }
  weight.experts = at < given ? input_number(at) : -1;
  return product(args[0], weight);
}

void Parser::must_be_input(const Token& name, const Expr& value) const {
  if (value->op != Op::Input) {
    fail_at(
        name,
        fmt::format("{} reads an input, not a computed value", name.text));
  }
}

double Parser::number_of(
    const Token& name,
    const Expr& value,
    std::string_view what) const {
  if (value->op != Op::Constant) {
    fail_at(name, fmt::format("{} of {} must be a number", what, name.text));
  }
  return value->value;
}

int Parser::integer_of(
    const Token& name,
    const Expr& value,
    std::string_view what,
    int least,
    int most) const {
  double number = number_of(name, value, what);
  if (value->type != Type::I32 || number < least || number > most) {
    fail_at(
        name,
        fmt::format(
            "{} must be an integer from {} to {}, got {}",
            what,
            least,
            most,
            number));
  }
  return static_cast<int>(number);
}

} // namespace zmlx::lang::parse_detail
