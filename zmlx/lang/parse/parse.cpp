#include "zmlx/lang/parse.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "zmlx/base/errors.h"
#include "zmlx/base/text.h"
#include "zmlx/lang/parse/names.h"
#include "zmlx/lang/parse/token.h"

namespace zmlx::lang {
namespace {

using namespace parse_detail;
using Kind = Token::Kind;

struct BinaryOperator {
  std::string_view mark;
  int precedence;
  Op op;
  bool swapped = false; // a > b is b < a
};

constexpr int kRelational = 7;
constexpr BinaryOperator kBinary[] = {
    {"||", 1, Op::Or},
    {"&&", 2, Op::And},
    {"|", 3, Op::BitOr},
    {"^", 4, Op::BitXor},
    {"&", 5, Op::BitAnd},
    {"==", 6, Op::Equal},
    {"!=", 6, Op::NotEqual},
    {"<", kRelational, Op::Less},
    {"<=", kRelational, Op::LessEqual},
    {">", kRelational, Op::Less, true},
    {">=", kRelational, Op::LessEqual, true},
    {"<<", 8, Op::Shl},
    {">>", 8, Op::Shr},
    {"+", 9, Op::Add},
    {"-", 9, Op::Sub},
    {"*", 10, Op::Mul},
    {"/", 10, Op::Div},
    {"%", 10, Op::Mod},
};

const BinaryOperator* find_binary(const Token& token) {
  for (const BinaryOperator& op : kBinary) {
    if (token.is(op.mark)) {
      return &op;
    }
  }
  return nullptr;
}

class Parser {
 public:
  Parser(
      const Source& source,
      const std::vector<Input>& inputs,
      const ParseOptions& options)
      : source_(source),
        inputs_(inputs),
        options_(options),
        tokens_(tokenize(source)) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      declare_input(inputs[i].name, static_cast<int>(i));
    }
    used_.resize(inputs.size());
  }

  Body run() {
    Body body{inputs_, {}};
    if (now().kind == Kind::End) {
      source_.fail("the formula is empty; expected an expression");
    }
    while (now().kind != Kind::End) {
      statement(body);
    }
    if (body.outputs.empty()) {
      fail_here("expected an expression after the last name");
    }
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (!used_[i] && !options_.unused_allowed) {
        source_.fail(
            fmt::format("the input '{}' is never used", inputs_[i].name));
      }
    }
    return body;
  }

 private:
  // Tokens.

  const Token& now() const {
    return tokens_[at_];
  }
  const Token& ahead(size_t n) const {
    return tokens_[std::min(at_ + n, tokens_.size() - 1)];
  }
  const Token& take() {
    const Token& token = tokens_[at_];
    at_ += token.kind == Kind::End ? 0 : 1;
    return token;
  }
  bool accept(std::string_view mark) {
    bool found = now().is(mark);
    at_ += found ? 1 : 0;
    return found;
  }
  [[noreturn]] void fail_at(const Token& token, std::string_view message)
      const {
    source_.fail(token.offset, token.text.size(), message);
  }
  [[noreturn]] void fail_here(std::string_view message) const {
    fail_at(now(), message);
  }

  // Names.

  void declare_input(const std::string& name, int number) {
    if (!is_name(name) || is_reserved(name)) {
      source_.fail(fmt::format(
          "an input cannot be called '{}'; expected a word of letters, "
          "digits and _ that is no type or number",
          name));
    }
    if (!names_.emplace(name, lang::input(number)).second) {
      source_.fail(fmt::format("two inputs are called '{}'", name));
    }
  }

  std::vector<std::string> known_names() const {
    std::vector<std::string> result;
    for (const auto& [name, value] : names_) {
      result.push_back(name);
    }
    return result;
  }

  void declare(const Token& name, const Expr& value) {
    std::string text(name.text);
    if (is_reserved(name.text)) {
      fail_at(name, fmt::format("'{}' is a word of the language", text));
    }
    if (names_.contains(text)) {
      bool is_input =
          std::any_of(inputs_.begin(), inputs_.end(), [&](const Input& input) {
            return input.name == text;
          });
      fail_at(
          name,
          fmt::format(
              "'{}' is already {}; expected a new name",
              text,
              is_input ? "an input" : "defined"));
    }
    names_.emplace(std::move(text), value);
  }

  // Statements.

  void statement(Body& body) {
    if (auto type = declared_type()) {
      const Token& name = take();
      expect("=", "after the name");
      Expr value = expression();
      declare(name, *type ? converted(**type, value) : value);
      expect(";", "after the value");
      return;
    }
    bool named = now().kind == Kind::Name && ahead(1).is("=");
    const Token& first = now();
    if (!body.outputs.empty() && (unnamed_ || !named)) {
      fail_at(
          first,
          unnamed_ ? "nothing may follow the value of the formula"
                   : "a formula with named outputs has no other value; "
                     "expected 'name = value'");
    }
    unnamed_ = !named;
    std::string name = "out";
    if (named) {
      name = take().text;
      take();
    }
    Expr value = expression();
    if (named) {
      declare(first, value);
    }
    body.outputs.push_back({std::move(name), value, -1, {}});
    if (now().kind != Kind::End) {
      end_of_value();
    }
  }

  void end_of_value() {
    if (accept(";")) {
      return;
    }
    const Token& token = now();
    if (token.is("=")) {
      fail_here("'=' gives a name to a value; to compare write '=='");
    }
    if (token.is(")")) {
      fail_here("this ')' closes nothing");
    }
    std::string hint;
    if (token.text == "and" || token.text == "or") {
      hint = token.text == "and" ? "; write '&&'" : "; write '||'";
    } else if (
        token.kind == Kind::Name || token.kind == Kind::Number ||
        token.is("(")) {
      hint = "; to multiply write '*'";
    }
    fail_here(fmt::format(
        "expected an operator or ';', got {}{}", describe(token), hint));
  }

  /// At "let name", "T name", "const float name": goes to the name. The inner
  /// type is what the value is converted to.
  std::optional<std::optional<Type>> declared_type() {
    size_t skip = now().text == "const" ? 1 : 0;
    const Token& word = ahead(skip);
    auto type = find_type(word.text);
    bool plain = word.text == "let" || word.text == "auto" || word.text == "T";
    if (word.kind != Kind::Name || (!type && !plain)) {
      return {};
    }
    if (ahead(skip + 1).kind != Kind::Name) {
      if (word.text == "let" || word.text == "auto" || skip == 1) {
        at_ += skip + 1;
        fail_here(fmt::format(
            "expected a name after '{}', got {}", word.text, describe(now())));
      }
      return {};
    }
    at_ += skip + 1;
    return type;
  }

  void expect(std::string_view mark, std::string_view where) {
    if (!accept(mark)) {
      fail_here(fmt::format(
          "expected '{}' {}, got {}", mark, where, describe(now())));
    }
  }

  void close(const Token& open) {
    if (!accept(")")) {
      fail_here(fmt::format(
          "expected ')' for the '(' of {}, got {}",
          source_.place(open.offset),
          describe(now())));
    }
  }

  // Expressions.

  Expr expression() {
    if (++depth_ > kMaxFormulaDepth) {
      fail_here(fmt::format(
          "the formula is nested deeper than {}; name parts of it with "
          "'let'",
          kMaxFormulaDepth));
    }
    Expr value = binary(1);
    if (accept("?")) {
      Expr yes = expression();
      expect(":", "of 'condition ? a : b'");
      Expr no = expression();
      value = select(std::move(value), std::move(yes), std::move(no));
    }
    --depth_;
    return value;
  }

  Expr binary(int least) {
    Expr left = prefixed();
    bool compared = false;
    while (const BinaryOperator* op = find_binary(now())) {
      if (op->precedence < least) {
        break;
      }
      if (op->precedence == kRelational && compared) {
        fail_here("comparisons do not chain; write a < b && b < c");
      }
      compared = op->precedence == kRelational;
      take();
      Expr right = binary(op->precedence + 1);
      left = op->swapped ? make(op->op, {std::move(right), std::move(left)})
                         : make(op->op, {std::move(left), std::move(right)});
    }
    return left;
  }

  /// An operator or a C cast before a value.
  struct Prefix {
    char mark; // '(' for a cast
    std::optional<Type> type; // none for (T)
  };

  std::optional<Prefix> prefix() {
    for (std::string_view mark : {"-", "+", "!", "~"}) {
      if (accept(mark)) {
        return Prefix{mark[0], {}};
      }
    }
    bool cast = now().is("(") && ahead(1).kind == Kind::Name &&
        ahead(2).is(")") && (ahead(1).text == "T" || find_type(ahead(1).text));
    if (!cast) {
      return {};
    }
    auto type = find_type(ahead(1).text);
    at_ += 3;
    return Prefix{'(', type};
  }

  Expr prefixed() {
    std::vector<Prefix> prefixes;
    while (auto next = prefix()) {
      prefixes.push_back(*next);
    }
    bool number = now().kind == Kind::Number ||
        (now().kind == Kind::Name && find_constant(now().text));
    Expr value = primary();
    number = number && value->op == Op::Constant;
    while (!prefixes.empty()) {
      value = apply(prefixes.back(), std::move(value), number);
      // Only what stands right before a number makes another number of it.
      number = false;
      prefixes.pop_back();
    }
    return value;
  }

  static Expr apply(const Prefix& prefix, Expr value, bool number) {
    switch (prefix.mark) {
      case '-':
        return number ? constant(-value->value, value->type)
                      : -std::move(value);
      case '+':
        return value;
      case '!':
        return !std::move(value);
      case '~':
        return std::move(value) ^ -1;
      default:
        break;
    }
    if (prefix.type) {
      return converted(*prefix.type, value);
    }
    return number ? constant(value->value, Type::F32) : value;
  }

  Expr primary() {
    const Token& token = now();
    if (token.kind == Kind::Number) {
      take();
      return constant(token.value, token.integer ? Type::I32 : Type::F32);
    }
    if (token.kind == Kind::Name) {
      return named();
    }
    if (accept("(")) {
      Expr value = expression();
      close(token);
      return value;
    }
    bool power = token.is("*") && at_ > 0 && tokens_[at_ - 1].is("*");
    fail_here(fmt::format(
        "expected a value, got {}{}",
        describe(token),
        power ? "; for a power write pow(a, b)" : ""));
  }

  Expr named() {
    bool metal = now().text == "metal";
    while (ahead(1).is("::")) {
      std::string_view space = now().text;
      if (space != "metal" && space != "precise" && space != "fast" &&
          space != "std") {
        fail_here(
            fmt::format("unknown name space '{}'; expected metal", space));
      }
      at_ += 2;
      if (now().kind != Kind::Name) {
        fail_here(fmt::format(
            "expected a function after '::', got {}", describe(now())));
      }
    }
    const Token& name = take();
    return now().is("(") ? call(name, metal) : variable(name);
  }

  Expr variable(const Token& token) {
    std::string name(token.text);
    if (auto found = names_.find(name); found != names_.end()) {
      if (found->second->op == Op::Input) {
        used_[found->second->input] = true;
      }
      return found->second;
    }
    if (auto number = find_constant(name)) {
      return constant(*number, Type::F32);
    }
    if (name == "true" || name == "false") {
      return constant(name == "true" ? 1 : 0, Type::I32);
    }
    if (name == "T" || find_type(name)) {
      fail_at(
          token,
          fmt::format("'{}' is a type; to convert write ({})x", name, name));
    }
    if (find_function(strip(name)) != nullptr) {
      fail_at(
          token, fmt::format("'{}' is a function; write {}(...)", name, name));
    }
    auto known = known_names();
    fail_at(
        token,
        fmt::format(
            "unknown name '{}'; known are {}.{}",
            name,
            list(known),
            name.size() > 1 ? did_you_mean(name, known) : ""));
  }

  static std::string list(const std::vector<std::string>& names) {
    constexpr size_t kMost = 12;
    std::string text;
    for (size_t i = 0; i < std::min(names.size(), kMost); ++i) {
      text += (i == 0 ? "" : ", ") + names[i];
    }
    return text + (names.size() > kMost ? ", ..." : "");
  }

  // kk_silu is silu.
  static std::string_view strip(std::string_view name) {
    return name.starts_with("kk_") ? name.substr(3) : name;
  }

  // Calls.

  Expr call(const Token& name, bool metal) {
    std::string_view called = strip(name.text);
    if (called == "as" || called == "cast") {
      return typed_call(name);
    }
    if (called == "T" || find_type(called)) {
      Args args = arguments(name, 1, 1);
      auto type = find_type(called);
      return type ? converted(*type, args[0]) : args[0];
    }
    if (called == "pick") {
      Args args = arguments(name, 2, 2);
      must_be_input(name, args[0]);
      return pick(args[0], args[1]);
    }
    if (called == "product") {
      return product_call(name);
    }
    if (called == "attention") {
      Args args = arguments(name, 5, 5);
      for (int i = 0; i < 4; ++i) {
        must_be_input(name, args[i]);
      }
      double scale = number_of(name, args[4], "the scale");
      return attention(args[0], args[1], args[2], args[3], scale);
    }
    const Function* function = find_function(called);
    if (function == nullptr) {
      unknown_function(name);
    }
    Args args = arguments(name, function->least, function->most);
    if (metal && called == "select") {
      // Metal's order: select(no, yes, condition).
      std::swap(args[0], args[2]);
    }
    return function->build(args);
  }

  [[noreturn]] void unknown_function(const Token& name) const {
    std::string text(name.text);
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
            did_you_mean(strip(text), formula_functions())));
  }

  Args arguments(const Token& name, int least, int most) {
    const Token& open = take();
    Args args;
    if (!now().is(")")) {
      do {
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
          name, fmt::format("{} takes {}, got {}", name.text, expected, count));
    }
    return args;
  }

  Expr typed_call(const Token& name) {
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

  void must_be_input(const Token& name, const Expr& value) const {
    if (value->op != Op::Input) {
      fail_at(
          name,
          fmt::format("{} reads an input, not a computed value", name.text));
    }
  }

  double number_of(const Token& name, const Expr& value, std::string_view what)
      const {
    if (value->op != Op::Constant) {
      fail_at(name, fmt::format("{} of {} must be a number", what, name.text));
    }
    return value->value;
  }

  Expr product_call(const Token& name) {
    Args args = arguments(name, 2, 6);
    if (args.size() != 2 && args.size() != 6) {
      fail_at(
          name,
          fmt::format(
              "product takes (x, w) or (x, w, scales, biases, bits, "
              "group_size), got {} arguments",
              args.size()));
    }
    for (size_t i = 1; i < std::min<size_t>(args.size(), 4); ++i) {
      must_be_input(name, args[i]);
    }
    Weight weight;
    weight.w = args[1]->input;
    if (args.size() == 6) {
      weight.format = WeightFormat::Affine;
      weight.scales = args[2]->input;
      weight.biases = args[3]->input;
      weight.bits = small_integer(name, args[4], "the number of bits");
      weight.group_size = small_integer(name, args[5], "the group size");
    }
    return product(args[0], weight);
  }

  int small_integer(const Token& name, const Expr& value, std::string_view what)
      const {
    double number = number_of(name, value, what);
    if (value->type != Type::I32 || number < 1 || number > 65536) {
      fail_at(
          name,
          fmt::format("{} must be an integer from 1, got {}", what, number));
    }
    return static_cast<int>(number);
  }

  const Source& source_;
  const std::vector<Input>& inputs_;
  const ParseOptions& options_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  bool unnamed_ = false; // the output that was read has no name
  std::map<std::string, Expr> names_;
  std::vector<bool> used_; // inputs
};

} // namespace

Body parse(
    std::string_view text,
    const std::vector<Input>& inputs,
    const ParseOptions& options) {
  Source source(text, options.name);
  if (text.size() > kMaxFormulaBytes) {
    source.fail(fmt::format(
        "the formula has {} bytes; at most {} are read",
        text.size(),
        kMaxFormulaBytes));
  }
  return Parser(source, inputs, options).run();
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
