#include "zmlx/backend/cfamily/text.h"

#include <algorithm>

namespace zmlx::backend::cfamily {
namespace {

void add_needed(
    const Dialect& dialect,
    std::string_view name,
    std::set<std::string, std::less<>>& all) {
  if (!all.emplace(name).second) {
    return;
  }
  const auto found = std::ranges::find(
      dialect.functions, name, [](const Function& f) { return f.name; });
  if (found == dialect.functions.end()) {
    return; // the language's own
  }
  std::string_view needs = found->needs;
  while (!needs.empty()) {
    const size_t end = std::min(needs.find(' '), needs.size());
    add_needed(dialect, needs.substr(0, end), all);
    needs.remove_prefix(std::min(end + 1, needs.size()));
  }
}

} // namespace

void Text::add(const std::string& line) {
  if (!line.empty()) {
    body_.append(static_cast<size_t>(2 * depth_), ' ');
  }
  body_ += line;
  body_ += '\n';
}

std::string Text::use(std::string_view name) {
  used_.emplace(name);
  return std::string(name);
}

// The dialect lists its functions in an order in which they may be declared.
std::string Text::functions() const {
  std::set<std::string, std::less<>> all;
  for (const auto& name : used_) {
    add_needed(dialect_, name, all);
  }
  std::string text;
  for (const Function& function : dialect_.functions) {
    if (all.contains(function.name)) {
      text += function.text;
      text += '\n';
    }
  }
  return text;
}

} // namespace zmlx::backend::cfamily
