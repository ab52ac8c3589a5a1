#include "tests/fuzz/trees.h"

#include "zmlx/lang/functions.h"

namespace zmlx::fuzz {

using lang::Expr;
using lang::Op;
using lang::Type;

namespace {

bool of_numbers_alone(const Expr& tree) {
  for (const lang::Node* node : lang::postorder({tree})) {
    if (node->args.empty() && node->op != Op::Constant) {
      return false;
    }
  }
  return true;
}

} // namespace

Expr Trees::typed_real(Expr tree) {
  if (!of_numbers_alone(tree)) {
    return tree;
  }
  return leaves_.reals.empty()
      ? lang::cast(Type::F32, chance_.of(leaves_.wholes))
      : chance_.of(leaves_.reals);
}

Expr Trees::typed_whole(Expr tree) {
  if (!of_numbers_alone(tree)) {
    return tree;
  }
  return leaves_.wholes.empty()
      ? lang::cast(Type::I32, chance_.of(leaves_.reals))
      : chance_.of(leaves_.wholes);
}

Expr Trees::real(int depth) {
  if (depth <= 0 || chance_.one_in(10)) {
    return real_leaf();
  }
  if (!made_reals_.empty() && chance_.one_in(6)) {
    return chance_.of(made_reals_);
  }
  Expr result = leaves_.along_row && chance_.one_in(4) ? real_row(depth)
                                                       : real_operation(depth);
  made_reals_.push_back(result);
  return result;
}

Expr Trees::whole(int depth) {
  if (depth <= 0 || chance_.one_in(8)) {
    return whole_leaf();
  }
  if (!made_wholes_.empty() && chance_.one_in(6)) {
    return chance_.of(made_wholes_);
  }
  Expr result = typed_whole(
      leaves_.along_row && chance_.one_in(6) ? whole_row(depth)
                                             : whole_operation(depth));
  made_wholes_.push_back(result);
  return result;
}

Expr Trees::truth(int depth) {
  if (!leaves_.truths.empty() && chance_.one_in(4)) {
    return chance_.of(leaves_.truths);
  }
  constexpr Op kComparisons[] = {
      Op::Less, Op::LessEqual, Op::Equal, Op::NotEqual};
  switch (chance_.below(depth <= 0 ? 4 : 8)) {
    case 0:
    case 1:
    case 2:
      return lang::make(
          chance_.of(kComparisons), {real(depth - 1), real(depth - 1)});
    case 3:
    case 4:
      return lang::make(
          chance_.of(kComparisons), {whole(depth - 1), whole(depth - 1)});
    case 5:
      return !truth(depth - 1);
    case 6:
      return truth(depth - 1) && truth(depth - 1);
    default:
      return truth(depth - 1) || truth(depth - 1);
  }
}

Expr Trees::real_leaf() {
  if (chance_.one_in(6)) {
    constexpr double kNumbers[] = {0.5, -1.25, 2.0, 0.1, 3.0, 1e-3, -0.7, 1.0};
    return chance_.one_in(4) ? Expr(chance_.below(5) - 2)
                             : Expr(chance_.of(kNumbers));
  }
  if (leaves_.reals.empty()) {
    return lang::cast(Type::F32, whole_leaf());
  }
  return chance_.of(leaves_.reals);
}

Expr Trees::whole_leaf() {
  if (leaves_.along_row && chance_.one_in(5)) {
    switch (chance_.below(3)) {
      case 0:
        return lang::index();
      case 1:
        return lang::width();
      default:
        return lang::row_index();
    }
  }
  if (leaves_.wholes.empty() || chance_.one_in(6)) {
    constexpr int kNumbers[] = {0, 1, 2, 3, -1, 7, 10, 255, -100};
    return chance_.of(kNumbers);
  }
  return chance_.of(leaves_.wholes);
}

Expr Trees::positive(int depth) {
  return chance_.one_in(4) ? real(depth) : lang::abs(real(depth)) + 0.1;
}

Expr Trees::small(int depth) {
  return chance_.one_in(4) ? real(depth)
      : chance_.one_in(2)  ? lang::clip(real(depth), -3.0, 3.0)
                           : 2.0 * lang::tanh(real(depth));
}

Expr Trees::function_of(int depth) {
  switch (chance_.below(13)) {
    case 0:
      return lang::exp(small(depth));
    case 1:
      return lang::expm1(small(depth));
    case 2:
      return lang::log(positive(depth));
    case 3:
      return lang::log1p(lang::abs(real(depth)));
    case 4:
      return lang::sqrt(positive(depth));
    case 5:
      return lang::rsqrt(positive(depth));
    case 6:
      return lang::sin(small(depth));
    case 7:
      return lang::cos(small(depth));
    case 8:
      return lang::tanh(real(depth));
    case 9:
      return lang::sigmoid(real(depth));
    case 10:
      return lang::erf(real(depth));
    case 11:
      return lang::abs(real(depth));
    default:
      return -real(depth);
  }
}

Expr Trees::composite(int depth) {
  switch (chance_.below(8)) {
    case 0:
      return lang::silu(real(depth));
    case 1:
      return lang::gelu(real(depth));
    case 2:
      return lang::gelu_tanh(small(depth));
    case 3:
      return lang::softplus(real(depth));
    case 4:
      return lang::mish(real(depth));
    case 5:
      return lang::elu(real(depth), chance_.uniform(0.5, 2));
    case 6:
      return lang::logaddexp(real(depth), real(depth));
    default:
      return lang::sign(real(depth)) * lang::trunc(small(depth));
  }
}

Expr Trees::of_two(int depth) {
  switch (chance_.below(10)) {
    case 0:
    case 1:
      return real(depth) + real(depth);
    case 2:
    case 3:
      return real(depth) - real(depth);
    case 4:
    case 5:
      return real(depth) * real(depth);
    case 6:
      return real(depth) / positive(depth);
    case 7:
      return lang::max(real(depth), real(depth));
    case 8:
      return lang::min(real(depth), real(depth));
    default:
      return chance_.one_in(2) ? real(depth) % positive(depth)
          : chance_.one_in(2)
          ? lang::pow(typed_real(real(depth)), chance_.below(4) - 1)
          : lang::pow(typed_real(positive(depth)), small(depth));
  }
}

Expr Trees::real_operation(int depth) {
  constexpr Op kRoundings[] = {Op::Floor, Op::Ceil, Op::Round};
  constexpr Type kStored[] = {Type::F16, Type::BF16, Type::F32};
  const int below = depth - 1;
  switch (chance_.below(16)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return function_of(below);
    case 4:
    case 5:
      return composite(below);
    case 6:
      return lang::select(truth(below), real(below), real(below));
    case 7:
      return lang::as(chance_.of(kStored), typed_real(real(below)));
    case 8:
      return chance_.one_in(2)
          ? lang::make(chance_.of(kRoundings), {small(below)})
          : lang::stop_gradient(real(below));
    case 9:
      return chance_.one_in(2) ? float_of(typed_whole(whole(below)))
                               : real(below) * whole_leaf();
    default:
      return of_two(below);
  }
}

Expr Trees::float_of(Expr whole) {
  switch (chance_.below(4)) {
    case 0:
      return lang::real(std::move(whole));
    case 1:
      return lang::as(Type::BF16, std::move(whole));
    default:
      return lang::cast(Type::F32, std::move(whole));
  }
}

Expr Trees::whole_operation(int depth) {
  constexpr Op kBinary[] = {
      Op::Add,
      Op::Sub,
      Op::Mul,
      Op::Div,
      Op::Mod,
      Op::Max,
      Op::Min,
      Op::BitAnd,
      Op::BitOr,
      Op::BitXor};
  constexpr Type kCasts[] = {Type::I32, Type::U32, Type::I64};
  constexpr Type kStored[] = {
      Type::I8, Type::U8, Type::I16, Type::U16, Type::Bool};
  const int below = depth - 1;
  switch (chance_.below(14)) {
    case 0:
      return -whole(below);
    case 1:
      return lang::abs(whole(below));
    case 2:
      return lang::select(truth(below), whole(below), whole(below));
    case 3:
      return lang::make(
          chance_.one_in(2) ? Op::Shl : Op::Shr,
          {whole(below), whole(below) & 7});
    case 4:
      return lang::cast(chance_.of(kCasts), whole(below));
    case 5:
      return lang::as(chance_.of(kStored), typed_whole(whole(below)));
    case 6:
      return chance_.one_in(2)
          ? lang::cast(Type::I32, 8.0 * small(below))
          : lang::pow(typed_whole(whole(below)), chance_.below(5) - 1);
    default:
      return lang::make(chance_.of(kBinary), {whole(below), whole(below)});
  }
}

Expr Trees::whole_row(int depth) {
  const int below = depth - 1;
  switch (chance_.below(5)) {
    case 0:
      return lang::argmax(real(below));
    case 1:
      return lang::argmin(chance_.one_in(2) ? real(below) : whole(below));
    case 2:
      return lang::make(
          chance_.one_in(2) ? Op::Sum : Op::MaxOf, {whole(below)});
    case 3:
      return lang::cumsum(whole(below));
    default:
      return leaves_.seeds.empty() ? whole_leaf()
                                   : lang::random(chance_.of(leaves_.seeds));
  }
}

/// An element of a row or of a table.
Expr Trees::read() {
  const auto below_common = [&] {
    return !leaves_.row_numbers.empty() && chance_.one_in(2)
        ? chance_.of(leaves_.row_numbers)
        : Expr(chance_.below(leaves_.common));
  };
  if (!leaves_.tables.empty() && chance_.one_in(2)) {
    return lang::take(chance_.of(leaves_.tables), below_common());
  }
  if (!leaves_.full_rows.empty() && chance_.one_in(3)) {
    return lang::pick(
        chance_.of(leaves_.full_rows), lang::width() - 1 - lang::index());
  }
  return leaves_.rows.empty()
      ? real_leaf()
      : lang::pick(chance_.of(leaves_.rows), below_common());
}

Expr Trees::real_row(int depth) {
  const int below = depth - 1;
  switch (chance_.below(16)) {
    case 0:
      return lang::sum(real(below));
    case 1:
      return lang::mean(real(below));
    case 2:
      return lang::max_of(real(below));
    case 3:
      return lang::min_of(real(below));
    case 4:
      return lang::prod(1.0 + 0.1 * lang::tanh(real(below)));
    case 5:
      return lang::softmax(small(below));
    case 6:
      return lang::logsumexp(real(below));
    case 7:
      return lang::log_softmax(small(below));
    case 8:
      return lang::var(real(below));
    case 9:
      return lang::rms_norm(real(below), 1e-3);
    case 10:
      return lang::layer_norm(real(below), 1e-3);
    case 11:
    case 12:
      return lang::cumsum(
          real(below), static_cast<lang::ScanOrder>(chance_.below(4)));
    default:
      return read();
  }
}

} // namespace zmlx::fuzz
