#include "zmlx/op/vmap.h"

#include <algorithm>

#include "zmlx/lang/space.h"
#include "zmlx/op/convert.h"
#include "zmlx/op/primitive.h"

namespace zmlx::op {

namespace {

using lang::Role;

// Whether an input may have one more axis in front of its own.
bool may_lead(Role role) {
  return lang::meets(role) && role != Role::Table;
}

class Vmap {
 public:
  Vmap(
      const std::shared_ptr<const Call>& call,
      const std::vector<mx::array>& inputs,
      const std::vector<int>& axes,
      mx::Stream stream)
      : call_(call), body_(call->body), s_(stream) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      const bool mapped = axes[i] >= 0;
      mapped_.push_back(mapped);
      inputs_.push_back(
          mapped ? mx::moveaxis(inputs[i], axes[i], 0, s_) : inputs[i]);
      count_ = mapped ? inputs[i].shape(axes[i]) : count_;
      shapes_.push_back(inputs_[i].shape());
      if (mapped) {
        shapes_[i].erase(shapes_[i].begin());
      }
    }
    results_ = call->results(placeholders());
  }

  std::vector<mx::array> run() const {
    return fits_one_call() ? in_one_call() : one_by_one();
  }

 private:
  // What one call reads, without data.
  std::vector<mx::array> placeholders() const {
    std::vector<mx::array> arrays;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      arrays.emplace_back(
          shapes_[i], inputs_[i].dtype(), nullptr, std::vector<mx::array>{});
    }
    return arrays;
  }

  // Whether an axis in front of all others changes nothing else.
  bool fits_one_call() const {
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (mapped_[i] && !may_lead(body_.inputs[i].role)) {
        return false;
      }
    }
    for (const auto& output : body_.outputs) {
      const bool sums = output.sum_like >= 0;
      if (output.into ||
          (sums && !may_lead(body_.inputs[output.sum_like].role))) {
        return false;
      }
    }
    const auto from_the_end = [](const lang::AxisLength& length) {
      return length.input < 0 || length.axis < 0;
    };
    const auto nodes = lang::postorder(lang::roots(body_));
    return std::all_of(body_.space.begin(), body_.space.end(), from_the_end) &&
        std::none_of(nodes.begin(), nodes.end(), [](const lang::Node* node) {
             return node->op == lang::Op::RowIndex ||
                 node->op == lang::Op::Random ||
                 node->op == lang::Op::Attention ||
                 (node->op == lang::Op::Extent && node->axis >= 0);
           });
  }

  // Axes of the space of one call.
  size_t rank() const {
    size_t most = body_.space.size();
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const Role role = body_.inputs[i].role;
      if (lang::meets(role)) {
        most = std::max(
            most, lang::meeting_shape(role, to_lang(shapes_[i])).size());
      }
    }
    return most;
  }

  // The input with an axis in front of those of the space.
  mx::array in_front(size_t i, size_t rank) const {
    auto shape = shapes_[i];
    const bool each_row = body_.inputs[i].role == Role::EachRow;
    shape.insert(shape.begin(), rank - shape.size() - (each_row ? 1 : 0), 1);
    shape.insert(shape.begin(), mapped_[i] ? count_ : 1);
    auto a = mx::reshape(inputs_[i], shape, s_);
    shape[0] = count_;
    return mx::broadcast_to(a, shape, s_);
  }

  // The inputs that get the axis: those that are mapped, what a sum has the
  // shape of, and the rows of a product, which what is added to it must fit.
  std::vector<bool> with_axis() const {
    auto wanted = mapped_;
    for (const auto& output : body_.outputs) {
      if (output.sum_like >= 0) {
        wanted[output.sum_like] = true;
      }
    }
    lang::for_each_node(lang::roots(body_), [&](const lang::Node& node) {
      if (node.op != lang::Op::Product) {
        return;
      }
      lang::for_each_node({node.args[0]}, [&](const lang::Node& below) {
        if (below.op == lang::Op::Input &&
            may_lead(body_.inputs[below.input].role)) {
          wanted[below.input] = true;
        }
      });
    });
    return wanted;
  }

  std::vector<mx::array> in_one_call() const {
    const auto wanted = with_axis();
    auto inputs = inputs_;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (wanted[i]) {
        inputs[i] = in_front(i, rank());
      }
    }
    auto outputs = op::apply(call_, inputs, s_);
    for (size_t i = 0; i < outputs.size(); ++i) {
      outputs[i] = mx::reshape(outputs[i], shape_of_all(i), s_);
    }
    return outputs;
  }

  mx::Shape shape_of_all(size_t output) const {
    auto shape = results_->shapes[output];
    shape.insert(shape.begin(), count_);
    return shape;
  }

  std::vector<mx::array> one_by_one() const {
    std::vector<std::vector<mx::array>> all(results_->shapes.size());
    for (int number = 0; number < count_; ++number) {
      const auto outputs = op::apply(call_, element(number), s_);
      for (size_t i = 0; i < outputs.size(); ++i) {
        all[i].push_back(outputs[i]);
      }
    }
    std::vector<mx::array> stacked;
    for (size_t i = 0; i < all.size(); ++i) {
      stacked.push_back(
          count_ == 0 ? mx::zeros(shape_of_all(i), results_->dtypes[i], s_)
                      : mx::stack(all[i], 0, s_));
    }
    return stacked;
  }

  std::vector<mx::array> element(int number) const {
    auto inputs = inputs_;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (mapped_[i]) {
        auto start = mx::Shape(inputs[i].ndim(), 0), stop = inputs[i].shape();
        start[0] = number;
        stop[0] = number + 1;
        inputs[i] = mx::squeeze(mx::slice(inputs[i], start, stop, s_), 0, s_);
      }
    }
    return inputs;
  }

  const std::shared_ptr<const Call>& call_;
  const lang::Body& body_;
  const mx::Stream s_;
  std::vector<bool> mapped_;
  std::vector<mx::array> inputs_; // those that are mapped: along their axis 0
  std::vector<mx::Shape> shapes_; // of what one call reads
  int count_ = 0; // of calls
  std::shared_ptr<const Call::Results> results_; // of one call
};

} // namespace

std::vector<mx::array> vmap(
    const std::shared_ptr<const Call>& call,
    const std::vector<mx::array>& inputs,
    const std::vector<int>& axes,
    mx::Stream stream) {
  return Vmap(call, inputs, axes, stream).run();
}

} // namespace zmlx::op
