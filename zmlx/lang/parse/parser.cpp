#include "zmlx/lang/parse/parser.h"

#include <algorithm>

#include <fmt/format.h>

#include "zmlx/base/text.h"

namespace zmlx::lang::parse_detail {

using Kind = Token::Kind;

Parser::Parser(
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
  for (const auto& [name, value] : options.names) {
    names_.emplace(name, value);
  }
  used_.resize(inputs.size());
}

Body Parser::run() {
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
  require_used();
  return body;
}

std::vector<NamedValue> Parser::definitions() {
  std::vector<NamedValue> result;
  while (now().kind != Kind::End) {
    auto defined = definition();
    if (!defined) {
      fail_here(fmt::format(
          "expected a definition such as 'T s = ...;', got {}",
          describe(now())));
    }
    result.push_back(std::move(*defined));
  }
  return result;
}

// Tokens.

const Token& Parser::now() const {
  return tokens_[at_];
}

const Token& Parser::ahead(size_t n) const {
  return tokens_[std::min(at_ + n, tokens_.size() - 1)];
}

const Token& Parser::take() {
  const Token& token = tokens_[at_];
  at_ += token.kind == Kind::End ? 0 : 1;
  return token;
}

bool Parser::accept(std::string_view mark) {
  bool found = now().is(mark);
  at_ += found ? 1 : 0;
  return found;
}

void Parser::expect(std::string_view mark, std::string_view where) {
  if (!accept(mark)) {
    fail_here(
        fmt::format("expected '{}' {}, got {}", mark, where, describe(now())));
  }
}

void Parser::close(const Token& open) {
  if (!accept(")")) {
    fail_here(fmt::format(
        "expected ')' for the '(' of {}, got {}",
        source_.place(open.offset),
        describe(now())));
  }
}

void Parser::fail_at(const Token& token, std::string_view message) const {
  source_.fail(token.offset, token.text.size(), message);
}

void Parser::fail_here(std::string_view message) const {
  fail_at(now(), message);
}

// Names.

void Parser::declare_input(const std::string& name, int number) {
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

bool Parser::is_input(const std::string& name) const {
  return std::any_of(inputs_.begin(), inputs_.end(), [&](const Input& input) {
    return input.name == name;
  });
}

void Parser::declare(const Token& name, const Expr& value) {
  std::string text(name.text);
  if (is_reserved(name.text)) {
    fail_at(name, fmt::format("'{}' is a word of the language", text));
  }
  if (names_.contains(text)) {
    fail_at(
        name,
        fmt::format(
            "'{}' is already {}; expected a new name",
            text,
            is_input(text) ? "an input" : "defined"));
  }
  names_.emplace(std::move(text), value);
}

std::vector<std::string> Parser::known_names() const {
  std::vector<std::string> result;
  for (const auto& [name, value] : names_) {
    result.push_back(name);
  }
  return result;
}

void Parser::require_used() const {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (!used_[i] && !options_.unused_allowed) {
      source_.fail(
          fmt::format("the input '{}' is never used", inputs_[i].name));
    }
  }
}

// Statements.

std::optional<NamedValue> Parser::definition() {
  auto type = declared_type();
  if (!type) {
    return {};
  }
  const Token& name = take();
  expect("=", "after the name");
  Expr value = expression();
  value = *type ? converted(**type, value) : value;
  declare(name, value);
  expect(";", "after the value");
  return NamedValue{std::string(name.text), value};
}

void Parser::statement(Body& body) {
  if (definition()) {
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

void Parser::end_of_value() {
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
  } else if (token.text == "if") {
    hint = "; write condition ? a : b";
  } else if (
      token.kind == Kind::Name || token.kind == Kind::Number || token.is("(")) {
    hint = "; to multiply write '*'";
  }
  fail_here(fmt::format(
      "expected an operator or ';', got {}{}", describe(token), hint));
}

/// At "let name", "T name", "const float name": goes to the name. The inner
/// type is what the value is converted to.
std::optional<std::optional<Type>> Parser::declared_type() {
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

} // namespace zmlx::lang::parse_detail
