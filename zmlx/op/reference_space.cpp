#include "zmlx/op/reference_space.h"

#include "zmlx/lang/space.h"
#include "zmlx/op/convert.h"

namespace zmlx::op {

using lang::Op;
using lang::Role;

mx::Shape Spaces::of_output(const lang::Expr& tree) const {
  Growth growth;
  grow(tree, growth);
  if (growth.has_stage) {
    return growth.space;
  }
  // The whole body shares one loop.
  std::vector<Role> roles;
  for (const auto& input : body_.inputs) {
    roles.push_back(input.role);
  }
  return mx::broadcast_shapes(
      growth.space,
      to_mlx(lang::meeting_space(body_.space, roles, shapes_of(inputs_))));
}

mx::Shape Spaces::of_row(const lang::Expr& row) const {
  Growth growth;
  grow(row, growth);
  if (growth.space.empty()) {
    growth.space.push_back(1);
  }
  return growth.space;
}

mx::Shape Spaces::of_product(const lang::Node& product) const {
  const auto rows = of_row(product.args[0]);
  const int experts = product.weight.experts;
  return experts < 0 ? rows : mx::broadcast_shapes(rows, meeting(experts));
}

mx::Shape Spaces::meeting(int input, const mx::Shape& shape) const {
  return to_mlx(lang::meeting_shape(body_.inputs[input].role, to_lang(shape)));
}

void Spaces::grow(const lang::Expr& e, Growth& growth) const {
  if (!growth.seen.insert(e.get()).second) {
    return;
  }
  const auto meet = [&](const mx::Shape& with) {
    growth.space = mx::broadcast_shapes(growth.space, with);
  };
  switch (e->op) {
    case Op::Input: {
      const Role role = body_.inputs[e->input].role;
      if (role == Role::Element || role == Role::EachRow) {
        meet(meeting(e->input));
      }
      return;
    }
    case Op::Product: {
      growth.has_stage = true;
      auto rows = of_product(*e);
      rows.back() = inputs_[e->weight.parts[0]].shape(-2);
      meet(rows);
      return;
    }
    case Op::Attention:
      growth.has_stage = true;
      meet(inputs_[e->args[0]->input].shape());
      return;
    case Op::Pick: {
      auto rows = inputs_[e->args[0]->input].shape();
      if (!rows.empty()) {
        rows.back() = 1;
      }
      meet(rows);
      grow(e->args[1], growth);
      return;
    }
    case Op::Take:
      meet({inputs_[e->args[0]->input].shape(-1)});
      grow(e->args[1], growth);
      return;
    default:
      for (const auto& arg : e->args) {
        grow(arg, growth);
      }
  }
}

} // namespace zmlx::op
