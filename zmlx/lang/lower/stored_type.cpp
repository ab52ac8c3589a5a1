#include "zmlx/lang/lower/stored_type.h"

namespace zmlx::lang::lower_detail {

namespace {

// Whether booleans make booleans: bits, and one of the operands.
bool keeps_truth(Op op) {
  switch (op) {
    case Op::BitAnd:
    case Op::BitOr:
    case Op::BitXor:
    case Op::Max:
    case Op::Min:
    case Op::MaxOf:
    case Op::MinOf:
    case Op::TopValues:
      return true;
    default:
      return false;
  }
}

// MLX's types of sums and products along an axis.
Type total_of(Type type) {
  if (type == Type::U8 || type == Type::U16) {
    return Type::U32;
  }
  return type == Type::Bool || type == Type::I8 || type == Type::I16 ? Type::I32
                                                                     : type;
}

Stored joined(const std::vector<Stored>& operands) {
  Stored all = operands[0];
  for (size_t i = 1; i < operands.size(); ++i) {
    all = either(all, operands[i]);
  }
  return all;
}

/// The type that the inputs of a body are promoted to.
Type promoted(const Body& body, const std::vector<Type>& inputs) {
  for (Role role :
       {Role::Element,
        Role::Row,
        Role::Table,
        Role::EachRow,
        Role::Whole,
        Role::Scalar}) {
    std::optional<Type> all;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (body.inputs[i].role == role) {
        all = all ? promote_stored(*all, inputs[i]) : inputs[i];
      }
    }
    if (all) {
      return *all;
    }
  }
  return Type::F32;
}

Type usual_type(Type inputs, const OutputValue& value) {
  if (is_float(value.computed)) {
    return is_float(inputs) ? inputs : value.computed;
  }
  if (value.stored) {
    return *value.stored;
  }
  const bool fits = is_float(inputs) || value.computed == Type::Bool;
  return fits ? inputs : value.computed;
}

} // namespace

Stored either(const Stored& a, const Stored& b) {
  if (!a || !b) {
    const Stored& known = a ? a : b;
    // A number may be more than a boolean holds.
    return known && *known == Type::Bool ? Stored(Type::I32) : known;
  }
  return promote_stored(*a, *b);
}

Stored stored_type(
    const Operation& operation,
    const std::vector<Stored>& operands,
    Type computed) {
  switch (operation.types) {
    case TypeRule::Count:
      return Type::I32;
    case TypeRule::Place:
      return Type::U32;
    case TypeRule::Logical:
    case TypeRule::Comparison:
      return {};
    case TypeRule::Total:
      return total_of(operands[0].value_or(computed));
    default:
      break;
  }
  const Stored all = joined(operands);
  if (!is_float(computed) && all && is_float(*all)) {
    return computed; // bits of uint64 with a signed type
  }
  return all == Type::Bool && !keeps_truth(operation.op) ? Stored(Type::I32)
                                                         : all;
}

std::vector<Type> output_types(
    const Body& body,
    const std::vector<Type>& inputs,
    const std::vector<OutputValue>& values) {
  const Type usual = promoted(body, inputs);
  std::vector<Type> result;
  for (size_t i = 0; i < body.outputs.size(); ++i) {
    const Output& output = body.outputs[i];
    if (output.fixed) {
      result.push_back(*output.fixed);
    } else if (output.like >= 0) {
      result.push_back(inputs.at(output.like));
    } else if (output.value->op == Op::Attention) {
      result.push_back(inputs.at(output.value->args[0]->input));
    } else {
      result.push_back(usual_type(usual, values[i]));
    }
  }
  return result;
}

} // namespace zmlx::lang::lower_detail
