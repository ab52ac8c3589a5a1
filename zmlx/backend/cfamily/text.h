#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "zmlx/backend/cfamily/dialect.h"

namespace zmlx::backend::cfamily {

/// Lines of text with braces that indent, and the functions they call.
class Text {
 public:
  /// `stores_halves`: all that the program stores has 16 bits.
  explicit Text(const Dialect& dialect, bool stores_halves = false)
      : dialect_(dialect), stores_halves_(stores_halves) {}

  template <typename... Args>
  void line(fmt::format_string<Args...> text, Args&&... args) {
    add(fmt::format(text, std::forward<Args>(args)...));
  }
  /// A line that ends in an opening brace, and what closes it.
  template <typename... Args>
  void open(fmt::format_string<Args...> text, Args&&... args) {
    add(fmt::format(text, std::forward<Args>(args)...) + " {");
    ++depth_;
  }
  void open() {
    add("{");
    ++depth_;
  }
  void close() {
    --depth_;
    add("}");
  }
  /// Before a loop whose length is a constant.
  void unroll() {
    add(std::string(dialect_.unroll));
  }
  void add(const std::string& line);

  /// Says that a function is called, of the dialect or of the language itself.
  /// Gives its name.
  std::string use(std::string_view name);

  bool stores_halves() const {
    return stores_halves_;
  }
  const std::string& body() const {
    return body_;
  }
  /// The functions that are needed, in an order in which each stands after
  /// those that it needs.
  std::string functions() const;
  const Dialect& dialect() const {
    return dialect_;
  }

 private:
  const Dialect& dialect_;
  bool stores_halves_;
  std::string body_;
  std::set<std::string, std::less<>> used_;
  int depth_ = 1; // of the kernel
};

} // namespace zmlx::backend::cfamily
