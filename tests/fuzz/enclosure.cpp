#include "tests/fuzz/enclosure.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "tests/fuzz/philox.h"
#include "tests/fuzz/places.h"
#include "zmlx/base/errors.h"
#include "zmlx/op/convert.h"

namespace zmlx::fuzz {
namespace {

using lang::Node;
using lang::Op;
using lang::Role;
using lang::Type;

bool is_comparison(Op op) {
  return op >= Op::Less && op <= Op::NotEqual;
}
bool is_logical(Op op) {
  return op == Op::Not || op == Op::And || op == Op::Or;
}
bool is_bitwise(Op op) {
  return op >= Op::BitAnd && op <= Op::Shr;
}
bool is_float_function(Op op) {
  return op >= Op::Exp && op <= Op::Erf;
}

using Whole = std::optional<Wide>;

Interval float_of(const Whole& x, Type type) {
  if (!x) {
    return {-0x1p64, 0x1p64, false};
  }
  const auto nearest = static_cast<double>(*x);
  if (static_cast<Wide>(nearest) == *x) {
    return stored_in(only(nearest), type);
  }
  const double slack = std::abs(nearest) * 0x1p-52;
  return stored_in({nearest - slack, nearest + slack, false}, type);
}

// Toward zero; nothing where it is not certain or does not fit.
Whole whole_of(const Interval& x, Type type) {
  const double low = std::trunc(x.low), high = std::trunc(x.high);
  if (x.empty() || x.nan || low != high || std::abs(low) > 0x1p62) {
    return {};
  }
  const auto number = static_cast<Wide>(low);
  return wrapped(type, number) == number ? Whole(number) : Whole();
}

Whole truth_of(const Interval& x) {
  if (x.point()) {
    return Whole(x.low != 0);
  }
  return x.has(0) ? Whole() : Whole(1); // NaN too is not 0
}

Whole compared(Op op, const Interval& a, const Interval& b) {
  const bool unequal = op == Op::NotEqual;
  if (a.empty() || b.empty()) {
    return Whole(unequal);
  }
  const bool nan = a.nan || b.nan;
  const auto certain = [&](bool truth) {
    return nan && truth != unequal ? Whole() : Whole(truth);
  };
  if (op == Op::Less || op == Op::LessEqual) {
    const bool less = op == Op::Less;
    if (less ? a.high < b.low : a.high <= b.low) {
      return certain(true);
    }
    return (less ? a.low >= b.high : a.low > b.high) ? certain(false) : Whole();
  }
  if (a.point() && b.point()) {
    return Whole((a.low == b.low) != unequal);
  }
  return a.high < b.low || b.high < a.low ? certain(unequal) : Whole();
}

template <typename F>
Values floats(Type type, size_t size, F f) {
  Values result{.type = type};
  result.floats.reserve(size);
  for (size_t i = 0; i < size; ++i) {
    result.floats.push_back(f(i));
  }
  return result;
}

template <typename F>
Values wholes(Type type, size_t size, F f) {
  Values result{.type = type};
  result.wholes.reserve(size);
  for (size_t i = 0; i < size; ++i) {
    result.wholes.push_back(f(i));
  }
  return result;
}

/// The values in another compute type, or as truths (Bool).
Values in_type(const Values& v, Type type) {
  Values result;
  if (v.type == type) {
    result = v;
  } else if (v.is_float() && lang::is_float(type)) {
    result = floats(
        type, v.size(), [&](size_t i) { return stored_in(v.floats[i], type); });
  } else if (v.is_float()) {
    result = wholes(type, v.size(), [&](size_t i) {
      return type == Type::Bool ? truth_of(v.floats[i])
                                : whole_of(v.floats[i], type);
    });
  } else if (lang::is_float(type)) {
    const bool truth = v.type == Type::Bool;
    result = floats(type, v.size(), [&](size_t i) {
      return !v.wholes[i] && truth ? Interval{0, 1, false}
                                   : float_of(v.wholes[i], type);
    });
  } else {
    result = wholes(type, v.size(), [&](size_t i) {
      return v.wholes[i] ? Whole(wrapped(type, *v.wholes[i])) : Whole();
    });
  }
  result.weak = false;
  return result;
}

void append(Values& to, const Values& from, size_t element) {
  if (from.is_float()) {
    to.floats.push_back(from.floats[element]);
  } else {
    to.wholes.push_back(from.wholes[element]);
  }
}

void append_zero(Values& to) {
  if (to.is_float()) {
    to.floats.push_back(only(0));
  } else {
    to.wholes.emplace_back(0);
  }
}

void append_unknown(Values& to) {
  if (to.is_float()) {
    to.floats.push_back(kAnything);
  } else {
    to.wholes.emplace_back();
  }
}

class Interpreter {
 public:
  Interpreter(const lang::Body& body, const std::vector<mx::array>& inputs)
      : body_(body), places_(body, op::shapes_of(inputs)) {
    for (const auto& input : inputs) {
      inputs_.push_back(values_of(input));
    }
  }

  std::vector<Values> run() {
    const auto roots = lang::roots(body_);
    for (const Node* node : lang::postorder(roots)) {
      done_.emplace(node, visit(*node));
    }
    const auto short_ones = lang::one_per_row(body_);
    std::vector<Values> result;
    for (size_t i = 0; i < body_.outputs.size(); ++i) {
      result.push_back(output(body_.outputs[i], short_ones[i]));
    }
    return result;
  }

 private:
  const Values& arg(const Node& node, int i) const {
    return done_.at(node.args[i].get());
  }

  // --- types -----------------------------------------------------------------

  static Type arithmetic(const Values& v) {
    if (v.weak) {
      return v.is_float() ? Type::F32 : Type::I32;
    }
    return lang::compute_type(v.type);
  }

  static Type meet(const Values& a, const Values& b) {
    if (a.weak && b.weak) {
      return a.is_float() || b.is_float() ? Type::F64 : Type::I64;
    }
    if (!a.weak && !b.weak) {
      return lang::promote(arithmetic(a), arithmetic(b));
    }
    const Values& number = a.weak ? a : b;
    const Type type = arithmetic(a.weak ? b : a);
    return !number.is_float() || lang::is_float(type) ? type : Type::F32;
  }

  Values concrete(const Values& v) const {
    return v.weak ? in_type(v, arithmetic(v)) : v;
  }

  // --- operations ------------------------------------------------------------

  Values visit(const Node& node) {
    switch (node.op) {
      case Op::Input:
        return leaf(node);
      case Op::Constant:
        return number(node);
      case Op::Index:
      case Op::Width:
      case Op::RowIndex:
      case Op::Extent:
        return place(node);
      case Op::As:
        return as(node);
      case Op::Cast:
        return in_type(
            node.type == Type::Bool ? in_type(arg(node, 0), Type::Bool)
                                    : arg(node, 0),
            lang::compute_type(node.type));
      case Op::Stop:
        return arg(node, 0);
      case Op::Real:
        return real(arg(node, 0));
      case Op::Random:
        return random(node);
      case Op::Pick:
      case Op::Take:
        return read(node);
      case Op::CumSum:
        return running_sum(node);
      case Op::Select:
        return select(node);
      default:
        break;
    }
    if (lang::is_reduction(node.op)) {
      return reduce(node);
    }
    return element(node);
  }

  // Rows and tables have no element at a place: pick and take read them.
  Values leaf(const Node& node) const {
    const Values& source = inputs_.at(node.input);
    const Role role = body_.inputs.at(node.input).role;
    if (role == Role::Row || role == Role::Table) {
      return {};
    }
    const auto& at = places_.of_input(node.input);
    Values result{.type = source.type};
    for (size_t place : at) {
      append(result, source, place);
    }
    return in_type(result, lang::compute_type(source.type));
  }

  Values number(const Node& node) const {
    Values result;
    if (node.type == Type::I32) {
      result.type = Type::I64;
      result.wholes.assign(places_.count(), static_cast<Wide>(node.value));
    } else {
      result.type = Type::F64;
      result.floats.assign(places_.count(), only(node.value));
    }
    result.weak = true;
    return result;
  }

  Values place(const Node& node) const {
    return wholes(Type::I32, places_.count(), [&](size_t i) {
      switch (node.op) {
        case Op::Index:
          return Whole(i % places_.width());
        case Op::Width:
          return Whole(places_.width());
        case Op::RowIndex:
          return Whole(i / places_.width());
        default:
          return Whole(places_.extent(node.input, node.axis));
      }
    });
  }

  static Values real(const Values& v) {
    if (v.is_float()) {
      return v;
    }
    Values result = in_type(v, v.weak ? Type::F64 : Type::F32);
    result.weak = v.weak;
    return result;
  }

  // Rounded to the type and back; integers stay floats.
  Values as(const Node& node) const {
    const Values& x = arg(node, 0);
    const Type own = x.weak ? x.type : arithmetic(x);
    Values result;
    if (lang::is_float(node.type)) {
      const Values near =
          in_type(x, own == Type::F64 ? own : lang::compute_type(node.type));
      result = floats(near.type, x.size(), [&](size_t i) {
        return rounded(node.type, near.floats[i]);
      });
    } else {
      result = in_type(x, node.type);
    }
    if (!lang::is_float(node.type) || lang::is_float(own)) {
      result = in_type(result, own);
    }
    result.weak = x.weak;
    return result;
  }

  Values select(const Node& node) const {
    const Values condition = in_type(arg(node, 0), Type::Bool);
    const Values &a = arg(node, 1), &b = arg(node, 2);
    const bool weak = arg(node, 0).weak && a.weak && b.weak;
    const Type type = !weak && a.weak && b.weak
        ? lang::promote(arithmetic(a), arithmetic(b))
        : meet(a, b);
    const Values yes = in_type(a, type), no = in_type(b, type);
    Values result;
    if (lang::is_float(type)) {
      result = floats(type, yes.size(), [&](size_t i) {
        const Whole& c = condition.wholes[i];
        return !c ? hull(yes.floats[i], no.floats[i])
                  : (*c != 0 ? yes : no).floats[i];
      });
    } else {
      result = wholes(type, yes.size(), [&](size_t i) {
        const Whole& c = condition.wholes[i];
        const Whole &x = yes.wholes[i], &y = no.wholes[i];
        return !c ? (x == y ? x : Whole()) : *c != 0 ? x : y;
      });
    }
    result.weak = weak;
    return result;
  }

  Values element(const Node& node) const {
    const Values& a = arg(node, 0);
    const bool two = node.args.size() == 2;
    const Values& b = two ? arg(node, 1) : a;
    const bool weak = a.weak && b.weak;
    if (is_logical(node.op)) {
      return on_wholes(node.op, Type::Bool, Type::Bool, a, b, weak);
    }
    Type type = weak ? meet(a, b) : two ? meet(a, b) : arithmetic(a);
    if (is_bitwise(node.op) && !two_truths(a, b)) {
      return on_wholes(node.op, type, type, a, b, weak);
    }
    if (is_bitwise(node.op)) {
      return on_wholes(node.op, Type::Bool, Type::Bool, a, b, weak);
    }
    if (is_float_function(node.op) && !lang::is_float(type)) {
      type = weak ? Type::F64 : Type::F32;
    }
    if (!lang::is_float(type)) {
      const Type result = is_comparison(node.op) ? Type::Bool : type;
      return on_wholes(node.op, result, type, a, b, weak);
    }
    return on_floats(node.op, type, in_type(a, type), in_type(b, type), weak);
  }

  static bool two_truths(const Values& a, const Values& b) {
    return a.type == Type::Bool && b.type == Type::Bool;
  }

  static Values on_wholes(
      Op op,
      Type result_type,
      Type type,
      const Values& va,
      const Values& vb,
      bool weak) {
    const Values a = in_type(va, type), b = in_type(vb, type);
    const bool one = lang::arity(op) == 1;
    Values result = wholes(result_type, a.size(), [&](size_t i) {
      const Whole &x = a.wholes[i], &y = b.wholes[i];
      if (!x || (!one && !y)) {
        return one_decides(op, x, y);
      }
      const auto value = fuzz::apply(op, type, *x, one ? 0 : *y);
      return value ? Whole(wrapped(result_type, *value)) : Whole();
    });
    result.weak = weak;
    if (weak && !lang::is_float(result.type)) {
      result.type = Type::I64;
    }
    return result;
  }

  // Logic where one operand is not known.
  static Whole one_decides(Op op, const Whole& x, const Whole& y) {
    const Whole& known = x ? x : y;
    const bool decides = known &&
        ((op == Op::And && *known == 0) || (op == Op::Or && *known != 0));
    return decides ? Whole(op == Op::Or) : Whole();
  }

  static Values
  on_floats(Op op, Type type, const Values& a, const Values& b, bool weak) {
    Values result;
    if (is_comparison(op)) {
      result = wholes(weak ? Type::I64 : Type::Bool, a.size(), [&](size_t i) {
        return compared(op, a.floats[i], b.floats[i]);
      });
    } else {
      result = floats(type, a.size(), [&](size_t i) {
        return fuzz::apply(op, type, a.floats[i], b.floats[i]);
      });
    }
    result.weak = weak;
    return result;
  }

  // --- along the row ---------------------------------------------------------

  Values reduce(const Node& node) const {
    const Values& v = arg(node, 0);
    const Values x = in_type(v, arithmetic(v));
    const bool arg_place = node.op == Op::ArgMax || node.op == Op::ArgMin;
    Values result{.type = arg_place ? Type::U32 : x.type};
    for (size_t row = 0; row < places_.rows(); ++row) {
      const size_t first = row * places_.width();
      const size_t last = first + places_.width();
      if (arg_place) {
        result.wholes.insert(
            result.wholes.end(),
            places_.width(),
            best_place(x, node.op == Op::ArgMax, first, last));
      } else if (x.is_float()) {
        result.floats.insert(
            result.floats.end(),
            places_.width(),
            reduced(node.op, x, first, last));
      } else {
        result.wholes.insert(
            result.wholes.end(),
            places_.width(),
            whole_reduced(node.op, x, first, last));
      }
    }
    return result;
  }

  static Interval reduced(Op op, const Values& x, size_t first, size_t last) {
    if (op == Op::Sum || op == Op::Prod) {
      Total total(op, x.type);
      for (size_t i = first; i < last; ++i) {
        total.add(x.floats[i]);
      }
      return total.result();
    }
    Interval best = x.floats[first];
    for (size_t i = first + 1; i < last; ++i) {
      best = fuzz::apply(
          op == Op::MaxOf ? Op::Max : Op::Min, x.type, best, x.floats[i]);
    }
    return best;
  }

  static Whole
  whole_reduced(Op op, const Values& x, size_t first, size_t last) {
    constexpr Op kStep[] = {Op::Add, Op::Mul, Op::Max, Op::Min};
    const Op step = kStep[static_cast<int>(op) - static_cast<int>(Op::Sum)];
    Whole best = x.wholes[first];
    for (size_t i = first + 1; i < last; ++i) {
      best = best && x.wholes[i]
          ? fuzz::apply(step, x.type, *best, *x.wholes[i])
          : Whole();
    }
    return best;
  }

  // The lowest place of the largest; nothing where another may be it.
  static Whole
  best_place(const Values& x, bool largest, size_t first, size_t last) {
    const auto as_float = [&](size_t i) {
      const Interval v = x.is_float() ? x.floats[i] : Interval{};
      return largest ? v : fuzz::apply(Op::Neg, x.type, v);
    };
    size_t best = first;
    for (size_t i = first; i < last; ++i) {
      if (!x.is_float()) {
        if (!x.wholes[i] || !x.wholes[best]) {
          return {};
        }
        const bool better = largest ? *x.wholes[i] > *x.wholes[best]
                                    : *x.wholes[i] < *x.wholes[best];
        best = better ? i : best;
        continue;
      }
      if (as_float(i).nan) {
        return {};
      }
      best = as_float(i).low > as_float(best).low ? i : best;
    }
    for (size_t i = first; i < last && x.is_float(); ++i) {
      const bool equal = as_float(i).point() && as_float(i) == as_float(best);
      if (i != best && as_float(i).high >= as_float(best).low && !equal) {
        return {};
      }
    }
    return Whole(best - first);
  }

  Values running_sum(const Node& node) const {
    using lang::ScanOrder;
    const ScanOrder order = node.order;
    const bool reverse =
        order == ScanOrder::Reverse || order == ScanOrder::ReverseExclusive;
    const bool exclusive = order == ScanOrder::ForwardExclusive ||
        order == ScanOrder::ReverseExclusive;
    const Values& v = arg(node, 0);
    Values x = in_type(v, arithmetic(v));
    const Values from = x;
    for (size_t row = 0; row < places_.rows(); ++row) {
      Total total(Op::Sum, x.type);
      Whole whole = 0;
      for (size_t step = 0; step < places_.width(); ++step) {
        const size_t i = row * places_.width() +
            (reverse ? places_.width() - 1 - step : step);
        const auto put = [&] {
          if (x.is_float()) {
            x.floats[i] = total.result();
          } else {
            x.wholes[i] = whole;
          }
        };
        if (exclusive) {
          put();
        }
        if (x.is_float()) {
          total.add(from.floats[i]);
        } else {
          whole = whole && from.wholes[i]
              ? fuzz::apply(Op::Add, x.type, *whole, *from.wholes[i])
              : Whole();
        }
        if (!exclusive) {
          put();
        }
      }
    }
    return x;
  }

  Values read(const Node& node) const {
    const int number = node.args[0]->input;
    const Values& source = inputs_.at(number);
    const Values at = in_type(concrete(arg(node, 1)), Type::I64);
    Values result{.type = source.type};
    for (size_t i = 0; i < places_.count(); ++i) {
      if (!at.wholes[i]) {
        append_unknown(result);
      } else if (
          const auto element = node.op == Op::Take
              ? places_.of_table(number, i, *at.wholes[i])
              : places_.of_row(number, i, *at.wholes[i])) {
        append(result, source, *element);
      } else {
        append_zero(result);
      }
    }
    return in_type(result, lang::compute_type(source.type));
  }

  Values random(const Node& node) const {
    const Values seed = in_type(concrete(arg(node, 0)), Type::U64);
    return wholes(Type::U32, places_.count(), [&](size_t i) {
      return seed.wholes[i]
          ? Whole(philox(static_cast<uint64_t>(*seed.wholes[i]), i))
          : Whole();
    });
  }

  // --- outputs ---------------------------------------------------------------

  Values output(const lang::Output& output, bool one_per_row) const {
    const Values v = concrete(done_.at(output.value.get()));
    if (output.into) {
      const Values row =
          in_type(concrete(done_.at(output.into->row.get())), Type::I64);
      return summed(v, output_size(output), [&](size_t i) {
        return row.wholes[i]
            ? places_.of_table(output.into->like, i, *row.wholes[i])
            : std::optional<size_t>();
      });
    }
    if (output.sum_like >= 0) {
      const auto& to = places_.of_input(output.sum_like);
      return summed(v, output_size(output), [&](size_t i) {
        const bool counts = !one_per_row || i % places_.width() == 0;
        return counts ? std::optional(to[i]) : std::optional<size_t>();
      });
    }
    if (!one_per_row) {
      return v;
    }
    Values result{.type = v.type};
    for (size_t row = 0; row < places_.rows(); ++row) {
      append(result, v, row * places_.width());
    }
    return result;
  }

  size_t output_size(const lang::Output& output) const {
    return inputs_.at(output.into ? output.into->like : output.sum_like).size();
  }

  template <typename To>
  Values summed(const Values& given, size_t size, To to) const {
    const Values v =
        lang::is_float(given.type) ? given : in_type(given, Type::F32);
    std::vector<Total> totals(size, Total(Op::Sum, v.type));
    for (size_t i = 0; i < places_.count(); ++i) {
      if (auto element = to(i)) {
        totals[*element].add(v.floats[i]);
      }
    }
    return floats(v.type, size, [&](size_t i) { return totals[i].result(); });
  }

  const lang::Body& body_;
  const Places places_;
  std::vector<Values> inputs_;
  std::unordered_map<const Node*, Values> done_;
};

} // namespace

Values values_of(const mx::array& a) {
  Values result{.type = op::to_lang(a.dtype())};
  const auto wide = result.is_float() ? mx::float64
      : a.dtype() == mx::uint64       ? mx::uint64
                                      : mx::int64;
  auto dense = mx::contiguous(
      mx::astype(a, wide, mx::Device::cpu), false, mx::Device::cpu);
  dense.eval();
  for (size_t i = 0; i < dense.size(); ++i) {
    if (result.is_float()) {
      result.floats.push_back(only(dense.data<double>()[i]));
    } else if (wide == mx::uint64) {
      result.wholes.emplace_back(dense.data<uint64_t>()[i]);
    } else {
      result.wholes.emplace_back(dense.data<int64_t>()[i]);
    }
  }
  return result;
}

std::vector<Values> enclose(
    const lang::Body& body,
    const std::vector<mx::array>& inputs) {
  return Interpreter(body, inputs).run();
}

Values stored(const Values& values, Type type) {
  if (!lang::is_float(type)) {
    return in_type(values, type);
  }
  const Values near =
      values.is_float() ? values : in_type(values, lang::compute_type(type));
  return floats(type, near.size(), [&](size_t i) {
    return rounded(type, near.floats[i]);
  });
}

} // namespace zmlx::fuzz
