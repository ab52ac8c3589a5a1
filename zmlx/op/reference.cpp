#include "zmlx/op/reference.h"

#include <algorithm>
#include <map>
#include <utility>

#include "zmlx/base/errors.h"
#include "zmlx/lang/operations.h"
#include "zmlx/lang/space.h"
#include "zmlx/op/convert.h"
#include "zmlx/op/reference_maps.h"
#include "zmlx/op/reference_outputs.h"
#include "zmlx/op/reference_reads.h"
#include "zmlx/op/reference_rows.h"
#include "zmlx/op/reference_space.h"
#include "zmlx/op/reference_stages.h"
#include "zmlx/op/reference_values.h"

namespace zmlx::op {

namespace {

using lang::Op;

bool any_float64(const std::vector<mx::array>& inputs) {
  return std::any_of(inputs.begin(), inputs.end(), [](const auto& a) {
    return a.dtype() == mx::float64;
  });
}

class Evaluator {
 public:
  Evaluator(
      const lang::Body& body,
      const std::vector<mx::array>& inputs,
      Precision precision,
      mx::Stream stream)
      : body_(body),
        inputs_(inputs),
        s_(stream),
        values_(precision, any_float64(inputs), stream),
        spaces_(body, inputs),
        types_(lang::type_body(body, types_of(inputs))) {}

  std::vector<mx::array> outputs() {
    const auto shapes = lang::infer_shapes(body_, shapes_of(inputs_));
    const auto& types = types_.outputs;
    const auto short_ones = lang::one_per_row(body_);
    std::vector<mx::array> out;
    for (size_t i = 0; i < body_.outputs.size(); ++i) {
      const auto a = output(body_.outputs[i], to_mlx(shapes[i]), short_ones[i]);
      const bool keep = values_.precise() && lang::is_float(types[i]);
      out.push_back(
          values_.converted(a, keep ? mx::float64 : to_mlx(types[i])));
    }
    return out;
  }

 private:
  mx::array
  output(const lang::Output& output, const mx::Shape& shape, bool one_per_row) {
    const mx::Shape space = spaces_.of_output(output.value);
    const auto value = array_of(output.value, space);
    if (output.into) {
      return summed_rows(
          value, array_of(output.into->row, space), space, shape, s_);
    }
    if (output.sum_like >= 0) {
      const auto meeting = spaces_.meeting(output.sum_like, shape);
      return summed_like(value, space, meeting, shape, one_per_row, s_);
    }
    const Op op = output.value->op;
    const bool top = op == Op::TopValues || op == Op::TopPlaces;
    return placed(value, space, shape, one_per_row && !top, s_);
  }

  Value evaluate(const lang::Expr& e, const mx::Shape& space) {
    for (const auto& [known_space, v] : memo_[e.get()]) {
      if (known_space == space) {
        return v;
      }
    }
    Value v = compute(*e, space);
    memo_[e.get()].emplace_back(space, v);
    return v;
  }

  mx::array array_of(const lang::Expr& e, const mx::Shape& space) {
    return values_.array_of(evaluate(e, space));
  }

  mx::array full_row(const lang::Expr& e, mx::Shape space) {
    const auto a = array_of(e, space);
    if (space.empty()) {
      space.push_back(1);
    }
    return mx::broadcast_to(a, space, s_);
  }

  Value compute(const lang::Node& n, const mx::Shape& space) {
    switch (lang::operation(n.op).kind) {
      case lang::OpKind::Leaf:
        return leaf(n, space);
      case lang::OpKind::Map:
        return map(n, space);
      case lang::OpKind::Reduction:
        return {reduction(n, space), {}};
      case lang::OpKind::Read:
        return {read(n, space), {}};
      case lang::OpKind::RowToRow:
      case lang::OpKind::Draw:
        return {row(n, space), {}};
      case lang::OpKind::Stage:
        break;
    }
    return {n.op == Op::Product ? product(n) : attention(n), {}};
  }

  Value leaf(const lang::Node& n, const mx::Shape& space) {
    const int width = space.empty() ? 1 : space.back();
    switch (n.op) {
      case Op::Constant:
        return {
            mx::array(0),
            lang::lower_detail::Number{n.value, n.type == lang::Type::I32}};
      case Op::Index:
        return {mx::arange(0, width, 1, mx::int32, s_), {}};
      case Op::Width:
        return {mx::array(width, mx::int32), {}};
      case Op::Extent: {
        return {mx::array(inputs_[n.input].shape(n.axis), mx::int32), {}};
      }
      case Op::RowIndex: {
        mx::Shape rows = space;
        rows.back() = 1;
        const auto count = static_cast<int>(lang::count(to_lang(rows)));
        const auto numbers = mx::arange(0, count, 1, mx::int32, s_);
        return {mx::reshape(numbers, rows, s_), {}};
      }
      default: {
        const auto& a = inputs_[n.input];
        const auto met = mx::reshape(a, spaces_.meeting(n.input), s_);
        return {mx::astype(met, values_.compute(type_of(a)), s_), {}};
      }
    }
  }

  mx::array row(const lang::Node& n, const mx::Shape& space) {
    if (n.op == Op::Random) {
      return random_bits(array_of(n.args[0], space), space, s_);
    }
    const auto x = full_row(n.args[0], space);
    if (n.op == Op::CumSum) {
      return running_sum(x, n.order, s_);
    }
    const auto places = top_places(x, n.k, s_);
    return n.op == Op::TopPlaces ? mx::stop_gradient(places, s_)
                                 : mx::take_along_axis(x, places, -1, s_);
  }

  mx::array reduction(const lang::Node& n, const mx::Shape& space) {
    const auto result = reduced(n.op, full_row(n.args[0], space), s_);
    const bool place = lang::operation(n.op).types == lang::TypeRule::Place;
    return place ? mx::stop_gradient(result, s_) : result;
  }

  mx::array read(const lang::Node& n, const mx::Shape& space) {
    const auto& in = inputs_[n.args[0]->input];
    auto at = array_of(n.args[1], space);
    if (n.op == Op::Pick && at.ndim() == 0) {
      at = mx::reshape(at, {1}, s_);
    }
    const auto found =
        n.op == Op::Pick ? picked(in, at, s_) : taken(in, at, space, s_);
    return mx::astype(found, values_.compute(type_of(in)), s_);
  }

  mx::array product(const lang::Node& n) {
    const auto type = product_type(n);
    const auto row_space = spaces_.of_product(n);
    const auto row = mx::broadcast_to(
        values_.array_of(evaluate(n.args[0], row_space), type), row_space, s_);
    return times_weight(row, n.weight, inputs_, type, s_);
  }

  mx::Dtype product_type(const lang::Node& n) {
    for (int input : lang::parts_of(n.weight)) {
      if (inputs_[input].dtype() == mx::float64) {
        return mx::float64;
      }
    }
    const auto row =
        values_.own_type(evaluate(n.args[0], spaces_.of_row(n.args[0])));
    return row == mx::float64 ? mx::float64 : values_.float_type();
  }

  mx::array attention(const lang::Node& n) const {
    const auto in = [&](int i) { return inputs_[n.args[i]->input]; };
    const auto type = values_.compute(type_of(in(0)));
    return attend(in(0), in(1), in(2), in(3), n.scale, type, s_);
  }

  Value map(const lang::Node& n, const mx::Shape& space) {
    if (n.op == Op::Stop) {
      const Value v = evaluate(n.args[0], space);
      return {mx::stop_gradient(v.a, s_), v.constant};
    }
    std::vector<Value> operands;
    for (const auto& arg : n.args) {
      operands.push_back(evaluate(arg, space));
    }
    const bool as_input = n.op == Op::As && n.input >= 0;
    const auto to = as_input ? type_of(inputs_[n.input]) : n.type;
    if (const auto number = among_numbers(n, to, operands)) {
      return {mx::array(0), number};
    }
    switch (operands.size()) {
      case 1:
        return unary(n.op, to, operands[0], values_);
      case 2: {
        const Value &a = operands[0], &b = operands[1];
        return lang::operation(n.op).types == lang::TypeRule::Logical
            ? logical(n.op, a, b, values_)
            : binary(n.op, types_.operands.at(&n), a, b, values_);
      }
      case 3:
        return select(
            types_.operands.at(&n),
            operands[0],
            operands[1],
            operands[2],
            values_);
      default:
        throw internal_error(
            "reference: no rule for '{}'", lang::name_of(n.op));
    }
  }

  const lang::Body& body_;
  const std::vector<mx::array>& inputs_;
  const mx::Stream s_;
  const Conversions values_;
  const Spaces spaces_;
  const lang::BodyTypes types_;
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
