#include <algorithm>

#include <fmt/format.h>

#include "zmlx/base/text.h"
#include "zmlx/lang/operations.h"
#include "zmlx/lang/parse/parser.h"

namespace zmlx::lang::parse_detail {

using Kind = Token::Kind;

namespace {

struct BinaryOperator {
  std::string_view mark;
  int precedence;
  Op op;
  bool swapped = false; // a > b is b < a
};

const std::vector<BinaryOperator>& binary_operators() {
  static const std::vector<BinaryOperator> all = [] {
    const int relational = operation(Op::Less).precedence;
    std::vector<BinaryOperator> found = {
        {">", relational, Op::Less, true},
        {">=", relational, Op::LessEqual, true}};
    for (int i = 0; i < kOperations; ++i) {
      const Operation& facts = operation(static_cast<Op>(i));
      if (facts.written == Written::Infix) {
        found.push_back({facts.name, facts.precedence, facts.op});
      }
    }
    return found;
  }();
  return all;
}

const BinaryOperator* find_binary(const Token& token) {
  for (const BinaryOperator& op : binary_operators()) {
    if (token.is(op.mark)) {
      return &op;
    }
  }
  return nullptr;
}

std::string list(const std::vector<std::string>& names) {
  constexpr size_t kMost = 12;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kMost); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  return text + (names.size() > kMost ? ", ..." : "");
}

} // namespace

/// An operator or a C cast before a value.
struct Parser::Prefix {
  char mark; // '(' for a cast
  std::optional<Type> type; // none for (T)

  Expr apply(Expr value, bool number) const;
};

/// Notes what a value and the operations that it was made of, other than its
/// operands, were read from: the text from token `first` to here.
Expr Parser::marked(size_t first, Expr value) const {
  if (options_.spans == nullptr) {
    return value;
  }
  const Token& last = tokens_[at_ - 1];
  const size_t offset = tokens_[first].offset;
  const Span span{offset, last.offset + last.text.size() - offset};
  std::vector<const Node*> made = {value.get()};
  while (!made.empty()) {
    const Node* node = made.back();
    made.pop_back();
    if (!node->args.empty() && options_.spans->emplace(node, span).second) {
      for (const Expr& arg : node->args) {
        made.push_back(arg.get());
      }
    }
  }
  return value;
}

Expr Parser::expression() {
  if (++depth_ > kMaxFormulaDepth) {
    fail_here(fmt::format(
        "the formula is nested deeper than {}; name parts of it with "
        "'let'",
        kMaxFormulaDepth));
  }
  const size_t first = at_;
  Expr value = binary(1);
  if (accept("?")) {
    Expr yes = expression();
    expect(":", "of 'condition ? a : b'");
    Expr no = expression();
    value =
        marked(first, select(std::move(value), std::move(yes), std::move(no)));
  }
  --depth_;
  return value;
}

Expr Parser::binary(int least) {
  const size_t first = at_;
  Expr left = prefixed();
  bool compared = false;
  while (const BinaryOperator* op = find_binary(now())) {
    if (op->precedence < least) {
      break;
    }
    const bool compares = op->op == Op::Less || op->op == Op::LessEqual;
    if (compares && compared) {
      fail_here("comparisons do not chain; write a < b && b < c");
    }
    compared = compares;
    take();
    Expr right = binary(op->precedence + 1);
    left = op->swapped ? make(op->op, {std::move(right), std::move(left)})
                       : make(op->op, {std::move(left), std::move(right)});
    left = marked(first, std::move(left));
  }
  return left;
}

std::optional<Parser::Prefix> Parser::prefix() {
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

Expr Parser::prefixed() {
  const size_t first = at_;
  std::vector<Prefix> prefixes;
  while (auto next = prefix()) {
    prefixes.push_back(*next);
  }
  bool number = now().kind == Kind::Number ||
      (now().kind == Kind::Name && find_constant(now().text));
  Expr value = primary();
  number = number && value->op == Op::Constant;
  while (!prefixes.empty()) {
    value = prefixes.back().apply(std::move(value), number);
    // Only what stands right before a number makes another number of it.
    number = false;
    prefixes.pop_back();
  }
  return at_ > first + 1 ? marked(first, std::move(value)) : value;
}

Expr Parser::Prefix::apply(Expr value, bool number) const {
  switch (mark) {
    case '-':
      return number ? constant(-value->value, value->type) : -std::move(value);
    case '+':
      return value;
    case '!':
      return !std::move(value);
    case '~':
      return std::move(value) ^ -1;
    default:
      break;
  }
  if (type) {
    return converted(*type, value);
  }
  return number ? constant(value->value, Type::F32) : value;
}

Expr Parser::primary() {
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

Expr Parser::named() {
  bool metal = now().text == "metal";
  while (ahead(1).is("::")) {
    std::string_view space = now().text;
    if (space != "metal" && space != "precise" && space != "fast" &&
        space != "std") {
      fail_here(fmt::format("unknown name space '{}'; expected metal", space));
    }
    at_ += 2;
    if (now().kind != Kind::Name) {
      fail_here(fmt::format(
          "expected a function after '::', got {}", describe(now())));
    }
  }
  const Token& name = take();
  if (name.text == "static_cast" && now().is("<")) {
    return static_cast_call();
  }
  if (name.text == "as_type") {
    fail_at(
        name,
        "as_type reads the bits of a number, which a formula cannot; to "
        "convert the number write (float)x");
  }
  const size_t first = at_ - 1;
  return now().is("(") ? marked(first, call(name, metal)) : variable(name);
}

Expr Parser::static_cast_call() {
  take();
  const Token& word = take();
  auto type = find_type(word.text);
  if (!type && word.text != "T") {
    fail_at(
        word,
        fmt::format(
            "expected a type such as float in static_cast<float>(x), got {}",
            describe(word)));
  }
  expect(">", "after the type");
  const Token& open = now();
  expect("(", "after static_cast<...>");
  Expr value = expression();
  close(open);
  return type ? converted(*type, value) : value;
}

Expr Parser::variable(const Token& token) {
  std::string name(token.text);
  if (auto found = names_.find(name); found != names_.end()) {
    const auto number = static_cast<size_t>(found->second->input);
    if (found->second->op == Op::Input && number < used_.size()) {
      used_[number] = true;
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
  if (is_function(name)) {
    fail_at(
        token, fmt::format("'{}' is a function; write {}(...)", name, name));
  }
  if (name == "if") {
    fail_at(token, "a formula has no 'if'; write condition ? a : b");
  }
  auto known = known_names();
  // Among very many the search would cost more than it helps.
  const bool hint = name.size() > 1 && known.size() <= 256;
  fail_at(
      token,
      fmt::format(
          "unknown name '{}'; known are {}.{}{}",
          name,
          known.empty() ? "none" : list(known),
          hint ? did_you_mean(name, known) : "",
          options_.unknown_name));
}

} // namespace zmlx::lang::parse_detail
