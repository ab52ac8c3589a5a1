#include "zmlx/op/split.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "zmlx/op/primitive.h"

namespace zmlx::op {

namespace {

using lang::Expr;
using lang::Node;

// The one product of a body, where it can be MLX's.
const Node* find_product(const lang::Body& body) {
  const Node* found = nullptr;
  int count = 0;
  lang::for_each_node(lang::roots(body), [&](const Node& node) {
    if (node.op == lang::Op::Product) {
      found = &node;
      ++count;
    }
  });
  const bool fits = count == 1 && found->args[0]->op == lang::Op::Input &&
      found->weight.format == lang::WeightFormat::Dense &&
      found->weight.experts < 0;
  return fits ? found : nullptr;
}

bool reduces(const lang::Body& body, const Node* product) {
  std::unordered_set<const Node*> over = {product};
  bool found = false;
  lang::for_each_node(lang::roots(body), [&](const Node& node) {
    for (const Expr& arg : node.args) {
      if (over.contains(arg.get())) {
        over.insert(&node);
        found = found || lang::is_reduction(node.op);
      }
    }
  });
  return found;
}

// The tree with `by` in the product's place.
Expr replaced(const Expr& tree, const Node* product, const Expr& by) {
  std::unordered_map<const Node*, Expr> done;
  const auto of = [&](const Expr& e) {
    auto made = done.find(e.get());
    return made == done.end() ? e : made->second;
  };
  for (const Node* node : lang::postorder({tree})) {
    if (node == product) {
      done.emplace(node, by);
      continue;
    }
    Node copy = *node;
    bool changed = false;
    for (Expr& arg : copy.args) {
      const Expr made = of(arg);
      changed = changed || made.get() != arg.get();
      arg = made;
    }
    if (changed) {
      done.emplace(node, Expr(std::make_shared<const Node>(std::move(copy))));
    }
  }
  return of(tree);
}

std::vector<bool> inputs_read(const lang::Body& body) {
  std::vector<bool> read(body.inputs.size());
  lang::for_each_node(lang::roots(body), [&](const Node& node) {
    if (node.input >= 0) {
      read.at(node.input) = true;
    }
  });
  return read;
}

// Only the inputs that are read, in their order; their numbers go to `kept`.
lang::Body without_unread(const lang::Body& body, std::vector<int>& kept) {
  const auto read = inputs_read(body);
  lang::Body result = body;
  result.inputs.clear();
  std::vector<Expr> numbers;
  for (size_t i = 0; i < read.size(); ++i) {
    numbers.push_back(lang::input(static_cast<int>(kept.size())));
    if (read[i]) {
      kept.push_back(static_cast<int>(i));
      result.inputs.push_back(body.inputs[i]);
    }
  }
  for (auto& output : result.outputs) {
    output.value = lang::substitute(output.value, numbers);
  }
  return result;
}

} // namespace

std::shared_ptr<const Split> split_product(
    const std::string& kernel,
    const lang::Body& body,
    const lang::Attributes& attributes) {
  const Node* product = find_product(body);
  const bool sums = std::any_of(
      body.outputs.begin(), body.outputs.end(), [](const auto& output) {
        return output.sum_like >= 0 || output.into;
      });
  if (product == nullptr || sums || !body.space.empty()) {
    return {};
  }
  Split split;
  split.x = product->args[0]->input;
  split.w = product->weight.parts[0];
  split.reduces = reduces(body, product);
  lang::Body rest = body;
  rest.gradients.clear();
  const auto number = static_cast<int>(rest.inputs.size());
  rest.inputs.push_back({"product", lang::Role::Element});
  for (auto& output : rest.outputs) {
    output.value = replaced(output.value, product, lang::input(number));
    output.like = -1;
  }
  rest = without_unread(rest, split.kept);
  const auto reads = [&](int input) {
    return std::find(split.kept.begin(), split.kept.end(), input) !=
        split.kept.end();
  };
  if (reads(split.x) || reads(split.w)) {
    return {};
  }
  split.kept.pop_back(); // the product
  split.rest = make_call(kernel + "_store", std::move(rest), attributes);
  return std::make_shared<const Split>(std::move(split));
}

std::vector<mx::array> apply_split(
    const Split& split,
    const std::vector<mx::array>& inputs,
    const std::vector<mx::Dtype>& types,
    mx::StreamOrDevice stream) {
  std::vector<mx::array> rest;
  for (int i : split.kept) {
    rest.push_back(inputs[i]);
  }
  rest.push_back(mx::matmul(
      inputs[split.x], mx::transpose(inputs[split.w], stream), stream));
  auto outputs = op::apply(split.rest, std::move(rest), stream);
  for (size_t i = 0; i < outputs.size(); ++i) {
    outputs[i] = mx::astype(outputs[i], types[i], stream);
  }
  return outputs;
}

} // namespace zmlx::op
