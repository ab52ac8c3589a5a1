#include "tests/peer/passes.h"

#include "tests/fuzz/philox.h"
#include "zmlx/backend/faults.h"
#include "zmlx/backend/space.h"
#include "zmlx/base/errors.h"
#include "zmlx/lang/operations.h"
#include "zmlx/lang/space.h"

namespace zmlx::test_peer {

using lang::Op;

namespace {

lang::Shape at_least_one_axis(lang::Shape space) {
  return space.empty() ? lang::Shape{1} : space;
}

Array without_last_axis(Array array) {
  array.shape.pop_back();
  array.strides.pop_back();
  return array;
}

/// Instructions whose values the stores and reductions of a pass need.
std::vector<bool> needed_in(
    const lang::Pass& pass,
    const std::vector<lang::Store>& stores) {
  std::vector<bool> needed(pass.code.size());
  for (const auto& store : stores) {
    needed[store.value] = true;
    if (store.into == lang::Into::Row) {
      needed[store.row] = true;
    }
  }
  for (const auto& reduction : pass.reductions) {
    needed[reduction.value] = true;
  }
  for (size_t i = pass.code.size(); i-- > 0;) {
    for (int k = 0; needed[i] && k < lang::operands(pass.code[i]); ++k) {
      needed[pass.code[i].in[k]] = true;
    }
  }
  return needed;
}

Register number(const lang::Instruction& i, double value) {
  Register result(i.type, true, 1);
  with_register_type(i.type, [&](auto zero) {
    result.set(0, convert<decltype(zero)>(value));
  });
  return result;
}

template <typename Get>
Register filled(const lang::Instruction& i, int64_t width, Get get) {
  Register result(i.type, i.uniform, width);
  with_register_type(i.type, [&](auto zero) {
    for (int64_t place = 0; place < result.count(); ++place) {
      result.set(place, get(zero, place));
    }
  });
  return result;
}

} // namespace

lang::Shape space_of(const Bound& bound) {
  const auto views = [](const std::vector<Array>& arrays) {
    std::vector<backend::View> shapes; // their memory is not asked for
    for (const Array& a : arrays) {
      shapes.push_back({{}, a.type, a.shape, a.strides});
    }
    return shapes;
  };
  return backend::find_space(
      bound.program, views(bound.inputs), views(bound.outputs));
}

PassRunner::PassRunner(Bound& bound, lang::Shape space)
    : bound_(bound), space_(at_least_one_axis(std::move(space))) {
  rows_ = lang::count({space_.data(), space_.size() - 1});
}

Register PassRunner::run_row(int64_t row) {
  std::vector<Register> slots(static_cast<size_t>(bound_.program.row.slots));
  for (const auto& pass : bound_.program.row.passes) {
    run(pass, pass.stores, row, slots);
  }
  return std::move(named_);
}

void PassRunner::run_store(int64_t row, std::vector<Register> accumulators) {
  std::vector<lang::Store> own;
  for (const auto& store : bound_.program.store.stores) {
    if (bound_.outputs[store.output].shape.back() == width()) {
      own.push_back(store);
    }
  }
  run(bound_.program.store, own, row, accumulators);
}

void PassRunner::run(
    const lang::Pass& pass,
    const std::vector<lang::Store>& stores,
    int64_t row,
    std::vector<Register>& slots) {
  const auto needed = needed_in(pass, stores);
  const auto given = backend::given_by_input(pass.code);
  std::vector<Register> values(pass.code.size());
  for (size_t i = 0; i < pass.code.size(); ++i) {
    if (needed[i]) {
      const auto& instruction = pass.code[i];
      const bool given_place =
          lang::operands(instruction) > 0 && given[instruction.in[0]];
      values[i] = value_of(instruction, values, given_place, row, slots);
    }
  }
  for (const auto& reduction : pass.reductions) {
    slots[reduction.slot] =
        reduce(reduction.op, values[reduction.value], width());
  }
  for (const auto& s : stores) {
    const Register& value = values[s.value];
    if (s.into == lang::Into::Sum) {
      add(s, value, row, std::nullopt);
    } else if (s.into == lang::Into::Row) {
      if (auto target = target_of(s, values[s.row], given[s.row])) {
        add(s, value, row, target);
      }
    } else if (s.output < 0) {
      named_ = value;
    } else {
      store(s, value, row);
    }
  }
}

Register PassRunner::value_of(
    const lang::Instruction& i,
    const std::vector<Register>& values,
    bool given,
    int64_t row,
    const std::vector<Register>& slots) {
  const auto as_number = [](auto zero, int64_t x) {
    return convert<decltype(zero)>(x);
  };
  switch (i.op) {
    case Op::Input:
      return input_value(i, row);
    case Op::Constant:
      return number(i, i.value);
    case Op::Width:
      return number(i, static_cast<double>(width()));
    case Op::Extent: {
      const auto& shape = bound_.inputs[i.number].shape;
      const auto rank = static_cast<int>(shape.size());
      const int axis = i.axis < 0 ? i.axis + rank : i.axis;
      return number(i, static_cast<double>(shape.at(axis)));
    }
    case Op::Index:
      return filled(i, width(), as_number);
    case Op::RowIndex:
      return filled(i, width(), [&](auto zero, int64_t) {
        return convert<decltype(zero)>(row);
      });
    case Op::Slot:
      return slots.at(i.number);
    case Op::Pick:
      return pick(i, values[i.in[0]], given, row);
    case Op::Take:
      return take(i, values[i.in[0]], given);
    case Op::Random:
      return draw(i, values[i.in[0]], row);
    case Op::CumSum: {
      Register result(i.type, false, width());
      scan(i.order, values[i.in[0]], result);
      return result;
    }
    default:
      break;
  }
  std::array<const Register*, 3> in{};
  for (int k = 0; k < lang::operands(i); ++k) {
    in[k] = &values[i.in[k]];
  }
  Register result(i.type, i.uniform, width());
  compute(i, in.data(), result);
  return result;
}

/// Inputs seen from the space, or (of those that are picked from) their rows
/// from the rows of the space.
const Walk& PassRunner::walk(int input, bool meets) const {
  const auto found = walks_.find({input, meets});
  if (found != walks_.end()) {
    return found->second;
  }
  Array array = bound_.inputs[input];
  if (meets && bound_.program.roles[input] == lang::Role::EachRow) {
    array.shape.push_back(1);
    array.strides.push_back(0);
  }
  return walks_
      .emplace(
          std::pair(input, meets),
          meets ? Walk(array, space_)
                : Walk(without_last_axis(array), row_space()))
      .first->second;
}

Register PassRunner::input_value(const lang::Instruction& i, int64_t row)
    const {
  const Walk& from = walk(i.number, true);
  const bool empty = lang::count(bound_.inputs[i.number].shape) == 0;
  return filled(i, width(), [&](auto zero, int64_t place) {
    using T = decltype(zero);
    return empty ? T(0) : read<T>(from.type(), from.at(row, place));
  });
}

Register PassRunner::pick(
    const lang::Instruction& i,
    const Register& at,
    bool given,
    int64_t row) {
  const Array& array = bound_.inputs[i.number];
  const Walk& rows = walk(i.number, false);
  const int64_t length = array.shape.back();
  return filled(i, width(), [&](auto zero, int64_t place) {
    using T = decltype(zero);
    const auto index = at.as<int64_t>(place);
    if (index < 0 || index >= length) {
      if (given) {
        record({index, length, false, false, i.number});
      }
      return T(0);
    }
    return read<T>(
        array.type, rows.at(row) + index * array.strides.back() * array.item());
  });
}

Register
PassRunner::take(const lang::Instruction& i, const Register& at, bool given) {
  const Array& table = bound_.inputs[i.number];
  const Array rows = without_last_axis(table);
  const int64_t length = lang::count(rows.shape);
  const auto row = at.as<int64_t>(0);
  const bool inside = row >= 0 && row < length;
  if (!inside && given) {
    record({row, length, true, false, i.number});
  }
  const Walk walk(rows, rows.shape);
  const int64_t step = table.shape.back() == 1 ? 0 : table.strides.back();
  return filled(i, width(), [&](auto zero, int64_t place) {
    using T = decltype(zero);
    return inside
        ? read<T>(table.type, walk.at(row) + place * step * table.item())
        : T(0);
  });
}

Register PassRunner::draw(
    const lang::Instruction& i,
    const Register& seed,
    int64_t row) const {
  return filled(i, width(), [&](auto zero, int64_t place) {
    const auto number = static_cast<uint64_t>(row * width() + place);
    return static_cast<decltype(zero)>(
        fuzz::philox(seed.get<uint64_t>(0), number));
  });
}

lang::Shape PassRunner::row_space() const {
  return {space_.begin(), space_.end() - 1};
}

void PassRunner::record(const backend::Fault& fault) {
  if (!bound_.fault) {
    bound_.fault = fault;
  }
}

} // namespace zmlx::test_peer
