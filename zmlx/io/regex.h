#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "zmlx/export.h"

namespace zmlx::io {

/// Bytes [begin, end) of a text.
struct Span {
  size_t begin;
  size_t end;
};

/// What normalizers and pre-tokenizers look for: a literal, or a regular
/// expression as Hugging Face's `tokenizers` reads it (Oniguruma, Ruby syntax),
/// run by PCRE2. Cheap to copy; one object may be used by many threads.
class ZMLX_API Pattern {
 public:
  /// UserError naming `who` when `text` is empty.
  static Pattern literal(std::string text, const std::string& who);

  /// UserError naming `who` and the place when the expression is wrong or uses
  /// what the two engines read differently: nested or intersected classes,
  /// back-references, \b, \h, (?m), named groups, {n}+.
  static Pattern regex(std::string_view expression, const std::string& who);

  /// All matches from left to right, none overlapping, in place of what was in
  /// `matches`; an empty match right after another one is passed over. `text`
  /// must be valid UTF-8. UserError when the expression needs too much work.
  void find_all(std::string_view text, std::vector<Span>& matches) const;

 private:
  struct Code;
  std::string literal_;
  std::shared_ptr<const Code> code_;
};

} // namespace zmlx::io
