#include "zmlx/op/reference.h"

#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "zmlx/base/errors.h"
#include "zmlx/lang/lower/evaluate.h"
#include "zmlx/lang/space.h"
#include "zmlx/op/convert.h"
#include "zmlx/op/exact.h"
#include "zmlx/op/reference_rows.h"
#include "zmlx/op/reference_stages.h"

namespace zmlx::op {

namespace {

using lang::Op;
using lang::Role;

using lang::lower_detail::Number;

// A value of a compute type over a space; its shape broadcasts to the space's.
// A number has no type of its own until it meets one.
struct Value {
  mx::array a;
  std::optional<Number> constant;
};

class Evaluator {
 public:
  Evaluator(
      const lang::Body& body,
      const std::vector<mx::array>& inputs,
      Precision precision,
      mx::Stream stream)
      : body_(body), inputs_(inputs), precision_(precision), s_(stream) {
    for (const auto& a : inputs) {
      wide_ = wide_ || a.dtype() == mx::float64;
    }
  }

  std::vector<mx::array> outputs() {
    const auto shapes = lang::infer_shapes(body_, shapes_of(inputs_));
    const auto types = lang::infer_types(body_, types_of(inputs_));
    const auto short_ones = lang::one_a_row(body_);
    std::vector<mx::array> out;
    for (size_t i = 0; i < body_.outputs.size(); ++i) {
      const auto& output = body_.outputs[i];
      const mx::Shape space = space_of(output.value);
      auto a = array_of(evaluate(output.value, space), {});
      const auto want = to_mlx(shapes[i]);
      if (output.into) {
        a = summed_rows(
            a,
            array_of(evaluate(output.into->row, space), {}),
            space,
            want,
            s_);
      } else if (output.sum_like >= 0) {
        mx::Shape places = space;
        if (short_ones[i]) {
          places.back() = 1;
        }
        a = summed_to(
            mx::broadcast_to(a, places, s_),
            meeting_shape(output.sum_like, want),
            s_);
        a = mx::reshape(a, want, s_);
      } else if (is_top(output.value->op)) {
        a = mx::broadcast_to(a, want, s_);
      } else {
        a = shaped(a, space, want, short_ones[i]);
      }
      const bool keep =
          precision_ == Precision::Double && lang::is_float(types[i]);
      out.push_back(converted(a, keep ? mx::float64 : to_mlx(types[i])));
    }
    return out;
  }

 private:
  // --- spaces: the shape over which a tree is evaluated -------------------

  mx::Shape space_of(const lang::Expr& tree) {
    mx::Shape space;
    bool has_product = false;
    std::map<const lang::Node*, bool> seen;
    grow_space(tree, space, seen, has_product);
    if (!has_product) {
      // The whole body shares one loop.
      for (size_t i = 0; i < inputs_.size(); ++i) {
        if (lang::meets(body_.inputs[i].role) && !below_product(i)) {
          space =
              mx::broadcast_shapes(space, meeting_shape(i, inputs_[i].shape()));
        }
      }
      space = mx::broadcast_shapes(
          space, to_mlx(lang::axes_of(body_, shapes_of(inputs_))));
    }
    return space;
  }

  // How an input of this shape meets the others.
  mx::Shape meeting_shape(size_t input, const mx::Shape& shape) const {
    return to_mlx(
        lang::meeting_shape(body_.inputs[input].role, to_lang(shape)));
  }

  bool below_product(size_t input) {
    bool below = false, beside = false;
    for (const auto& out : body_.outputs) {
      std::map<std::pair<const lang::Node*, bool>, bool> seen;
      std::function<void(const lang::Expr&, bool)> walk =
          [&](const lang::Expr& e, bool in_product) {
            if (!seen.emplace(std::pair{e.get(), in_product}, true).second) {
              return;
            }
            if (e->op == Op::Input && e->input == static_cast<int>(input)) {
              (in_product ? below : beside) = true;
            }
            for (const auto& arg : e->args) {
              walk(arg, in_product || e->op == Op::Product);
            }
          };
      walk(out.value, false);
    }
    return below && !beside;
  }

  void grow_space(
      const lang::Expr& e,
      mx::Shape& space,
      std::map<const lang::Node*, bool>& seen,
      bool& has_product) {
    if (!seen.emplace(e.get(), true).second) {
      return;
    }
    const auto meet = [&](const mx::Shape& with) {
      space = mx::broadcast_shapes(space, with);
    };
    switch (e->op) {
      case Op::Input:
        if (body_.inputs[e->input].role == Role::Element ||
            body_.inputs[e->input].role == Role::EachRow) {
          meet(meeting_shape(e->input, inputs_[e->input].shape()));
        }
        return;
      case Op::Product: {
        has_product = true;
        auto rows = space_of_row(e->args[0]);
        rows.back() = inputs_[e->weight.w].shape(0);
        meet(rows);
        return;
      }
      case Op::Attention:
        has_product = true;
        meet(inputs_[e->args[0]->input].shape());
        return;
      case Op::Pick: {
        auto rows = inputs_[e->args[0]->input].shape();
        if (!rows.empty()) {
          rows.back() = 1;
        }
        meet(rows);
        grow_space(e->args[1], space, seen, has_product);
        return;
      }
      case Op::Take:
        meet({inputs_[e->args[0]->input].shape(-1)});
        grow_space(e->args[1], space, seen, has_product);
        return;
      default:
        for (const auto& arg : e->args) {
          grow_space(arg, space, seen, has_product);
        }
    }
  }

  mx::Shape space_of_row(const lang::Expr& row) {
    mx::Shape space;
    bool has_product = false;
    std::map<const lang::Node*, bool> seen;
    grow_space(row, space, seen, has_product);
    if (space.empty()) {
      space.push_back(1);
    }
    return space;
  }

  mx::array shaped(
      const mx::array& a,
      const mx::Shape& space,
      const mx::Shape& want,
      bool one_a_row) {
    if (!one_a_row) {
      return mx::broadcast_to(a, want, s_);
    }
    // One value a row.
    mx::Shape rows = space;
    if (!rows.empty()) {
      rows.back() = 1;
    }
    return mx::reshape(mx::broadcast_to(a, rows, s_), want, s_);
  }

  // --- types -----------------------------------------------------------------

  mx::Dtype compute(lang::Type type) const {
    type = lang::compute_type(type);
    if (precision_ == Precision::Double && lang::is_float(type)) {
      return mx::float64;
    }
    return to_mlx(type);
  }
  mx::Dtype float_type() const {
    return compute(lang::Type::F32);
  }

  mx::Dtype own_type(const Value& v) const {
    if (v.constant) {
      return v.constant->integer ? mx::int32
          : wide_                ? mx::float64
                                 : float_type();
    }
    return v.a.dtype();
  }

  mx::Dtype common(const Value& a, const Value& b) const {
    const auto ta = own_type(a), tb = own_type(b);
    if (a.constant && !b.constant &&
        (a.constant->integer || mx::issubdtype(tb, mx::floating))) {
      return tb;
    }
    if (b.constant && !a.constant &&
        (b.constant->integer || mx::issubdtype(ta, mx::floating))) {
      return ta;
    }
    return compute(lang::promote(to_lang(ta), to_lang(tb)));
  }

  mx::array array_of(const Value& v, std::optional<mx::Dtype> type) const {
    const auto want = type.value_or(own_type(v));
    return v.constant ? mx::array(v.constant->value, want)
                      : converted(v.a, want);
  }
  mx::array floating(const Value& v) const {
    const auto type = own_type(v);
    return array_of(
        v, mx::issubdtype(type, mx::floating) ? type : float_type());
  }
  mx::array truth(const Value& v) const {
    auto a = array_of(v, {});
    return mx::not_equal(a, mx::array(0, a.dtype()), s_);
  }
  // Integers made of floats are constants to derivatives: MLX would go on, and
  // derives integer operations as if they were of floats.
  Value from_truth(const mx::array& b) const {
    return {mx::stop_gradient(mx::astype(b, mx::int32, s_), s_), {}};
  }

  // --- operations
  // --------------------------------------------------------------

  Value evaluate(const lang::Expr& e, const mx::Shape& space) {
    const auto key = std::pair{e.get(), space};
    for (const auto& [k, v] : memo_[e.get()]) {
      if (k == space) {
        return v;
      }
    }
    Value v = compute_node(*e, space);
    memo_[e.get()].emplace_back(space, v);
    return v;
  }

  Value compute_node(const lang::Node& n, const mx::Shape& space) {
    switch (n.op) {
      case Op::Input:
      case Op::Constant:
      case Op::Index:
      case Op::Width:
      case Op::RowIndex:
      case Op::Extent:
        return leaf(n, space);
      case Op::Stop: {
        Value v = evaluate(n.args[0], space);
        return {mx::stop_gradient(v.a, s_), v.constant};
      }
      case Op::Random:
        return {
            random_bits(array_of(evaluate(n.args[0], space), {}), space, s_),
            {}};
      case Op::CumSum:
        return {
            running_sum(
                full_row(evaluate(n.args[0], space), space),
                static_cast<lang::ScanOrder>(static_cast<int>(n.value)),
                s_),
            {}};
      case Op::TopValues:
      case Op::TopPlaces: {
        const auto row = full_row(evaluate(n.args[0], space), space);
        const auto places = top_places(row, static_cast<int>(n.value), s_);
        return {
            n.op == Op::TopPlaces ? mx::stop_gradient(places, s_)
                                  : mx::take_along_axis(row, places, -1, s_),
            {}};
      }
      case Op::Take: {
        const auto& table = inputs_[n.args[0]->input];
        auto row = array_of(evaluate(n.args[1], space), {});
        return {
            mx::astype(
                taken(table, row, space, s_), compute(type_of(table)), s_),
            {}};
      }
      case Op::Product: {
        const auto type = product_type(n);
        const auto row_space = space_of_row(n.args[0]);
        auto row = mx::broadcast_to(
            array_of(evaluate(n.args[0], row_space), type), row_space, s_);
        auto w = unpacked(n.weight, inputs_, type, s_);
        return {mx::matmul(row, mx::transpose(w, s_), s_), {}};
      }
      case Op::Attention: {
        const auto in = [&](int i) { return inputs_[n.args[i]->input]; };
        const auto type = compute(type_of(in(0)));
        return {attend(in(0), in(1), in(2), in(3), n.value, type, s_), {}};
      }
      case Op::Pick: {
        const auto& in = inputs_[n.args[0]->input];
        auto at = array_of(evaluate(n.args[1], space), {});
        if (at.ndim() == 0) {
          at = mx::reshape(at, {1}, s_);
        }
        return {mx::astype(picked(in, at, s_), compute(type_of(in)), s_), {}};
      }
      default:
        break;
    }
    if (lang::is_reduction(n.op)) {
      const Value v = reduce(n.op, evaluate(n.args[0], space), space);
      const bool place = n.op == Op::ArgMax || n.op == Op::ArgMin;
      return place ? Value{mx::stop_gradient(v.a, s_), {}} : v;
    }
    if (auto number = among_numbers(n, space)) {
      return {mx::array(0), number};
    }
    switch (n.args.size()) {
      case 1:
        return unary(n, evaluate(n.args[0], space));
      case 2:
        return binary(
            n.op, evaluate(n.args[0], space), evaluate(n.args[1], space));
      case 3: {
        auto a = evaluate(n.args[1], space);
        auto b = evaluate(n.args[2], space);
        const auto type = common(a, b);
        return {
            mx::where(
                truth(evaluate(n.args[0], space)),
                array_of(a, type),
                array_of(b, type),
                s_),
            {}};
      }
      default:
        throw internal_error(
            "reference: no rule for '{}'", lang::name_of(n.op));
    }
  }

  // What an operation on numbers alone gives, which is a number again.
  std::optional<Number> among_numbers(
      const lang::Node& n,
      const mx::Shape& space) {
    std::array<Number, 3> numbers{};
    for (size_t i = 0; i < n.args.size(); ++i) {
      const Value v = evaluate(n.args[i], space);
      if (!v.constant) {
        return std::nullopt;
      }
      numbers[i] = *v.constant;
    }
    using namespace lang::lower_detail;
    switch (n.op) {
      case Op::Cast:
        return std::nullopt; // gives it a type
      case Op::As:
        return Number{*round_to(n.type, numbers[0].value), numbers[0].integer};
      default:
        return lang::lower_detail::among_numbers(n.op, numbers);
    }
  }

  mx::Dtype product_type(const lang::Node& n) {
    for (int input : {n.weight.w, n.weight.scales}) {
      if (input >= 0 && inputs_[input].dtype() == mx::float64) {
        return mx::float64;
      }
    }
    const auto row = own_type(evaluate(n.args[0], space_of_row(n.args[0])));
    return row == mx::float64 ? mx::float64 : float_type();
  }

  Value leaf(const lang::Node& n, const mx::Shape& space) {
    const int width = space.empty() ? 1 : space.back();
    switch (n.op) {
      case Op::Constant:
        return {mx::array(0), Number{n.value, n.type == lang::Type::I32}};
      case Op::Index:
        return {mx::arange(0, width, 1, mx::int32, s_), {}};
      case Op::Width:
        return {mx::array(width, mx::int32), {}};
      case Op::Extent:
        return {
            mx::array(
                inputs_[n.input].shape(static_cast<int>(n.value)), mx::int32),
            {}};
      case Op::RowIndex: {
        mx::Shape rows = space;
        rows.back() = 1;
        int count = 1;
        for (int length : rows) {
          count *= length;
        }
        return {
            mx::reshape(mx::arange(0, count, 1, mx::int32, s_), rows, s_), {}};
      }
      default: {
        const auto& a = inputs_[n.input];
        auto shape = meeting_shape(n.input, a.shape());
        return {
            mx::astype(mx::reshape(a, shape, s_), compute(type_of(a)), s_), {}};
      }
    }
  }

  Value unary(const lang::Node& n, const Value& v) {
    const auto own = own_type(v);
    const bool integer = !mx::issubdtype(own, mx::floating);
    switch (n.op) {
      case Op::As: {
        const auto type = n.input < 0 ? n.type : type_of(inputs_[n.input]);
        return {converted(stored(array_of(v, {}), type), own), {}};
      }
      case Op::Cast:
        return {array_of(v, compute(n.type)), {}};
      case Op::Neg:
        return {mx::negative(array_of(v, {}), s_), {}};
      case Op::Abs:
        return {mx::abs(array_of(v, {}), s_), {}};
      case Op::Not:
        return from_truth(mx::logical_not(truth(v), s_));
      case Op::Floor:
        return {integer ? array_of(v, {}) : mx::floor(array_of(v, {}), s_), {}};
      case Op::Ceil:
        return {integer ? array_of(v, {}) : mx::ceil(array_of(v, {}), s_), {}};
      case Op::Round:
        return {
            integer ? array_of(v, {}) : mx::round(array_of(v, {}), 0, s_), {}};
      default:
        return {transcendental(n.op, floating(v)), {}};
    }
  }

  // MLX's conversion, whose derivative is 1 also between floats and integers.
  mx::array converted(const mx::array& x, mx::Dtype type) const {
    const bool steps = mx::issubdtype(x.dtype(), mx::floating) !=
        mx::issubdtype(type, mx::floating);
    return mx::astype(steps ? mx::stop_gradient(x, s_) : x, type, s_);
  }

  // A float of Precision::Double goes to a 16-bit one by way of float32, as
  // everywhere else.
  mx::array stored(const mx::array& x, lang::Type type) {
    const bool narrow = type == lang::Type::F16 || type == lang::Type::BF16;
    return converted(narrow ? mx::astype(x, mx::float32, s_) : x, to_mlx(type));
  }

  mx::array transcendental(Op op, const mx::array& x) {
    const bool precise = precision_ == Precision::Double;
    switch (op) {
      case Op::Exp:
        return precise ? exact(op, x, s_) : mx::exp(x, s_);
      case Op::Sin:
        return precise ? exact(op, x, s_) : mx::sin(x, s_);
      case Op::Cos:
        return precise ? exact(op, x, s_) : mx::cos(x, s_);
      case Op::Erf:
        return precise ? exact(op, x, s_) : mx::erf(x, s_);
      case Op::Expm1:
        return mx::expm1(x, s_);
      case Op::Log:
        return mx::log(x, s_);
      case Op::Log1p:
        return mx::log1p(x, s_);
      case Op::Sqrt:
        return mx::sqrt(x, s_);
      case Op::Rsqrt:
        return mx::divide(mx::array(1.0, x.dtype()), mx::sqrt(x, s_), s_);
      case Op::Tanh:
        return mx::tanh(x, s_);
      case Op::Sigmoid:
        return sigmoid(x);
      default:
        throw internal_error("reference: no rule for '{}'", lang::name_of(op));
    }
  }

  // Exact for both signs (mx::sigmoid is 1 - y for the negative ones), with
  // finite parts in the branch not taken, so that gradients stay finite.
  mx::array sigmoid(const mx::array& x) {
    const mx::array zero(0.0, x.dtype()), one(1.0, x.dtype());
    const auto positive = mx::greater_equal(x, zero, s_);
    const auto e_minus = transcendental(
        Op::Exp, mx::negative(mx::where(positive, x, zero, s_), s_));
    const auto e_plus =
        transcendental(Op::Exp, mx::where(positive, zero, x, s_));
    return mx::where(
        positive,
        mx::divide(one, mx::add(one, e_minus, s_), s_),
        mx::divide(e_plus, mx::add(one, e_plus, s_), s_),
        s_);
  }

  Value binary(Op op, const Value& va, const Value& vb) {
    if (op == Op::And || op == Op::Or) {
      return from_truth(
          op == Op::And ? mx::logical_and(truth(va), truth(vb), s_)
                        : mx::logical_or(truth(va), truth(vb), s_));
    }
    const auto type = common(va, vb);
    const auto a = array_of(va, type), b = array_of(vb, type);
    const bool integer = !mx::issubdtype(type, mx::floating);
    switch (op) {
      case Op::Add:
        return {mx::add(a, b, s_), {}};
      case Op::Sub:
        return {mx::subtract(a, b, s_), {}};
      case Op::Mul:
        return {mx::multiply(a, b, s_), {}};
      case Op::Div:
        return {integer ? divide_integers(a, b) : mx::divide(a, b, s_), {}};
      case Op::Mod:
        return {integer ? modulo_integers(a, b) : mx::remainder(a, b, s_), {}};
      case Op::Pow:
        return {integer ? power_of_integers(a, b) : mx::power(a, b, s_), {}};
      case Op::Max:
        return {mx::maximum(a, b, s_), {}};
      case Op::Min:
        return {mx::minimum(a, b, s_), {}};
      case Op::BitAnd:
        return {mx::bitwise_and(a, b, s_), {}};
      case Op::BitOr:
        return {mx::bitwise_or(a, b, s_), {}};
      case Op::BitXor:
        return {mx::bitwise_xor(a, b, s_), {}};
      case Op::Shl:
        return {mx::left_shift(a, b, s_), {}};
      case Op::Shr:
        return {mx::right_shift(a, b, s_), {}};
      case Op::Less:
        return from_truth(mx::less(a, b, s_));
      case Op::LessEqual:
        return from_truth(mx::less_equal(a, b, s_));
      case Op::Equal:
        return from_truth(mx::equal(a, b, s_));
      case Op::NotEqual:
        return from_truth(mx::not_equal(a, b, s_));
      default:
        throw internal_error("reference: no rule for '{}'", lang::name_of(op));
    }
  }

  // MLX's integer division rounds down and, as the rest of one, faults on zero
  // and on the least integer by -1; its powers with a negative exponent are 0.
  mx::array by_safe(const mx::array& b) {
    const mx::array one(1, b.dtype());
    const auto fits = mx::not_equal(b, mx::array(0, b.dtype()), s_);
    return mx::where(
        mx::logical_and(fits, mx::logical_not(is_minus_one(b), s_), s_),
        b,
        one,
        s_);
  }
  mx::array is_minus_one(const mx::array& b) {
    return mx::issubdtype(b.dtype(), mx::unsignedinteger)
        ? mx::array(false)
        : mx::equal(b, mx::array(-1, b.dtype()), s_);
  }
  mx::array divide_integers(const mx::array& a, const mx::array& b) {
    const mx::array zero(0, a.dtype()), one(1, a.dtype());
    const auto by = by_safe(b);
    const auto q = mx::floor_divide(a, by, s_);
    const auto rest = mx::subtract(a, mx::multiply(q, by, s_), s_);
    const auto rounded_down = mx::logical_and(
        mx::not_equal(rest, zero, s_),
        mx::not_equal(mx::less(a, zero, s_), mx::less(by, zero, s_), s_),
        s_);
    const auto truncated = mx::where(rounded_down, mx::add(q, one, s_), q, s_);
    return mx::where(
        mx::equal(b, zero, s_),
        zero,
        mx::where(is_minus_one(b), mx::negative(a, s_), truncated, s_),
        s_);
  }
  mx::array modulo_integers(const mx::array& a, const mx::array& b) {
    // By one or by what stands in for 0 and -1 there is no rest.
    return mx::remainder(a, by_safe(b), s_);
  }
  mx::array power_of_integers(const mx::array& a, const mx::array& b) {
    const mx::array zero(0, a.dtype()), one(1, a.dtype());
    const auto odd = mx::not_equal(mx::bitwise_and(b, one, s_), zero, s_);
    const auto unit = mx::logical_or(
        mx::equal(a, one, s_), mx::logical_and(is_minus_one(a), odd, s_), s_);
    const auto inverse =
        mx::where(unit, a, mx::where(is_minus_one(a), one, zero, s_), s_);
    return mx::where(mx::less(b, zero, s_), inverse, mx::power(a, b, s_), s_);
  }

  mx::array full_row(const Value& v, mx::Shape space) const {
    if (space.empty()) {
      space.push_back(1);
    }
    return mx::broadcast_to(array_of(v, {}), space, s_);
  }

  static bool is_top(Op op) {
    return op == Op::TopValues || op == Op::TopPlaces;
  }

  Value reduce(Op op, const Value& v, const mx::Shape& space) {
    const auto x = full_row(v, space);
    if (x.size() == 0) {
      return empty_row(op, x.dtype(), x.shape());
    }
    const auto nan = mx::isnan(x, s_);
    switch (op) {
      case Op::Sum:
        return {mx::sum(x, -1, true, s_), {}};
      case Op::Prod:
        return {mx::prod(x, -1, true, s_), {}};
      case Op::MaxOf:
        return {mx::max(x, -1, true, s_), {}};
      case Op::MinOf:
        return {mx::min(x, -1, true, s_), {}};
      case Op::ArgMax: {
        const auto first_nan =
            mx::argmax(mx::astype(nan, mx::int32, s_), -1, true, s_);
        return {
            mx::where(
                mx::any(nan, -1, true, s_),
                first_nan,
                mx::argmax(x, -1, true, s_),
                s_),
            {}};
      }
      case Op::ArgMin: {
        // The first place whose value is the least of those that are numbers.
        const bool floating = mx::issubdtype(x.dtype(), mx::floating);
        const auto numbers = floating
            ? mx::where(
                  nan,
                  mx::array(std::numeric_limits<double>::infinity(), x.dtype()),
                  x,
                  s_)
            : x;
        const auto least = mx::min(numbers, -1, true, s_);
        return {
            mx::argmax(
                mx::astype(mx::equal(x, least, s_), mx::int32, s_),
                -1,
                true,
                s_),
            {}};
      }
      default:
        throw internal_error("reference: no rule for '{}'", lang::name_of(op));
    }
  }

  // Neutral elements; MLX raises for max and min.
  Value empty_row(Op op, mx::Dtype type, mx::Shape full) {
    full.back() = 1;
    const double infinity = std::numeric_limits<double>::infinity();
    const double value = op == Op::Prod ? 1
        : op == Op::MaxOf               ? -infinity
        : op == Op::MinOf               ? infinity
                                        : 0;
    const bool place = op == Op::ArgMax || op == Op::ArgMin;
    return {
        mx::full(full, mx::array(value, place ? mx::uint32 : type), s_), {}};
  }

  const lang::Body& body_;
  const std::vector<mx::array>& inputs_;
  const Precision precision_;
  const mx::Stream s_;
  bool wide_ = false; // an input is float64: so are numbers with a point
  std::map<const lang::Node*, std::vector<std::pair<mx::Shape, Value>>> memo_;
};

} // namespace

std::vector<mx::array> reference(
    const lang::Body& body,
    const std::vector<mx::array>& inputs,
    Precision precision,
    mx::StreamOrDevice stream) {
  const auto s = precision == Precision::Double
      ? mx::default_stream(mx::Device::cpu)
      : mx::to_stream(stream);
  return Evaluator(body, inputs, precision, s).outputs();
}

} // namespace zmlx::op
