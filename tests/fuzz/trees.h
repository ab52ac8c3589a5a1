#pragma once

#include <vector>

#include "tests/fuzz/chance.h"
#include "zmlx/lang/expr.h"

namespace zmlx::fuzz {

/// What trees are made of.
struct Leaves {
  std::vector<lang::Expr> reals; // inputs with floats
  std::vector<lang::Expr> wholes; // with integers
  std::vector<lang::Expr> truths; // bools
  std::vector<lang::Expr> row_numbers; // integers, one per row
  std::vector<lang::Expr> full_rows; // inputs that pick may read at any place
  std::vector<lang::Expr> rows; // and at places below `common`
  std::vector<lang::Expr> tables;
  std::vector<lang::Expr> seeds; // of random bits, 0-d integers
  bool along_row = false; // operations that know their row may come
  /// What indices stay below: the shortest row and table that they are for. An
  /// index beyond is an error when it is evaluated.
  int common = 1;
};

/// Random trees whose kinds fit: reals where floats belong, integers under
/// bits, truths under conditions. What was made is used again now and then.
class Trees {
 public:
  Trees(Chance& chance, Leaves leaves)
      : chance_(chance), leaves_(std::move(leaves)) {}

  lang::Expr real(int depth);
  lang::Expr whole(int depth);
  lang::Expr truth(int depth);

 private:
  lang::Expr real_leaf();
  lang::Expr whole_leaf();
  lang::Expr real_operation(int depth);
  lang::Expr float_of(lang::Expr whole);
  lang::Expr function_of(int depth);
  lang::Expr composite(int depth);
  lang::Expr of_two(int depth);
  lang::Expr whole_operation(int depth);
  lang::Expr whole_row(int depth);
  lang::Expr real_row(int depth);
  lang::Expr read();
  /// The tree, or an input where it is made of numbers alone, which take the
  /// type of what they meet and must fit it.
  lang::Expr typed_real(lang::Expr tree);
  lang::Expr typed_whole(lang::Expr tree);
  /// Greater than 0, mostly.
  lang::Expr positive(int depth);
  /// Within a few units of 0, mostly.
  lang::Expr small(int depth);

  Chance& chance_;
  Leaves leaves_;
  std::vector<lang::Expr> made_reals_;
  std::vector<lang::Expr> made_wholes_;
};

} // namespace zmlx::fuzz
