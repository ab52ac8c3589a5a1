#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "zmlx/lang/parse.h"
#include "zmlx/lang/parse/names.h"
#include "zmlx/lang/parse/token.h"

namespace zmlx::lang::parse_detail {

/// Recursive descent over the tokens of one formula (lang/parse.h says what it
/// reads): statements in parser.cpp, expressions in expression.cpp, calls in
/// calls.cpp. Every member that cannot go on throws a UserError that points
/// into the text.
class Parser {
 public:
  Parser(
      const Source& source,
      const std::vector<Input>& inputs,
      const ParseOptions& options);

  Body run();
  /// Of a text of definitions alone, in their order.
  std::vector<NamedValue> definitions();

 private:
  // Tokens.
  const Token& now() const;
  const Token& ahead(size_t n) const;
  const Token& take();
  bool accept(std::string_view mark);
  void expect(std::string_view mark, std::string_view where);
  void close(const Token& open);
  [[noreturn]] void fail_at(const Token& token, std::string_view message) const;
  [[noreturn]] void fail_here(std::string_view message) const;

  // Names.
  void declare_input(const std::string& name, int number);
  void declare(const Token& name, const Expr& value);
  bool is_input(const std::string& name) const;
  std::vector<std::string> known_names() const;
  void require_used() const;

  // Statements.
  void statement(Body& body);
  std::optional<NamedValue> definition();
  void end_of_value();
  std::optional<std::optional<Type>> declared_type();

  // Expressions.
  Expr marked(size_t first, Expr value) const;
  struct Prefix;
  Expr expression();
  Expr binary(int least);
  std::optional<Prefix> prefix();
  Expr prefixed();
  Expr primary();
  Expr named();
  Expr variable(const Token& name);
  Expr static_cast_call();

  // Calls.
  Expr call(const Token& name, bool metal);
  Expr special_call(const Token& name, std::string_view called);
  [[noreturn]] void unknown_function(const Token& name) const;
  void refuse_named_argument() const;
  Args arguments(const Token& name, int least, int most);
  Args
  arguments_after(const Token& name, const Token& open, int least, int most);
  std::optional<WeightFormat> format_name();
  Expr typed_call(const Token& name);
  Expr cumsum_call(const Token& name);
  Expr product_call(const Token& name);
  Expr attention_call(const Token& name);
  void must_be_input(const Token& name, const Expr& value) const;
  double number_of(const Token& name, const Expr& value, std::string_view what)
      const;
  int integer_of(
      const Token& name,
      const Expr& value,
      std::string_view what,
      int least,
      int most) const;

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

} // namespace zmlx::lang::parse_detail
