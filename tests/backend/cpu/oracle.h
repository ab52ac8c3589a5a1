#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "zmlx/backend/cpu/cpu.h"
#include "zmlx/backend/cpu/half.h"
#include "zmlx/lang/kernel.h"

/// Arrays of every type and layout, and the meaning of a tree in float64, place
/// by place.
namespace zmlx::backend::cpu {

using lang::Expr;
using lang::Op;
using lang::Role;
using lang::Shape;
using lang::Strides;
using lang::Type;

inline int64_t count(const Shape& shape) {
  int64_t n = 1;
  for (int64_t extent : shape) {
    n *= extent;
  }
  return n;
}

// The element of a row-major array of `shape`, broadcast, at a place of
// `space`.
inline int64_t
element_at(const Shape& shape, const Shape& space, int64_t place) {
  int64_t element = 0, step = 1;
  for (size_t k = 0; k < space.size(); ++k) {
    const size_t axis = space.size() - 1 - k;
    const int64_t at = place % space[axis];
    place /= space[axis];
    if (k < shape.size()) {
      const int64_t extent = shape[shape.size() - 1 - k];
      element += extent == 1 ? 0 : at * step;
      step *= extent;
    }
  }
  return element;
}

enum class Layout { Plain, Strided, Negative, Transposed, Offset };
inline constexpr Layout kLayouts[] = {
    Layout::Plain,
    Layout::Strided,
    Layout::Negative,
    Layout::Transposed,
    Layout::Offset};

/// Values as float64 and their memory in a type and layout.
struct Array {
  Type type;
  Shape shape;
  std::vector<double> values; // row-major, as stored
  std::vector<unsigned char> memory;
  View view;
  Layout layout;

  Array(Type t, Shape s, Layout how)
      : type(t), shape(std::move(s)), layout(how) {
    const auto rank = static_cast<int>(shape.size());
    Strides strides(rank);
    int64_t step = layout == Layout::Strided ? 3 : 1;
    int64_t first = layout == Layout::Offset ? 5 : 0;
    for (int k = 0; k < rank; ++k) {
      const int axis = layout == Layout::Transposed ? k : rank - 1 - k;
      strides[axis] = step;
      step *= std::max<int64_t>(shape[axis], 1) + (layout == Layout::Strided);
    }
    if (layout == Layout::Negative) {
      for (int axis = 0; axis < rank; ++axis) {
        first += strides[axis] * (std::max<int64_t>(shape[axis], 1) - 1);
        strides[axis] = -strides[axis];
      }
    }
    memory.assign((step + first + 8) * lang::size_of(type), 0xCD);
    view = {memory.data() + first * lang::size_of(type), type, shape, strides};
    values.resize(count(shape));
  }

  unsigned char* at(int64_t element) const {
    int64_t offset = 0;
    for (size_t k = shape.size(); k-- > 0;) {
      offset += element % shape[k] * view.strides[k];
      element /= shape[k];
    }
    return cpu::pointer<unsigned char>(view.data) +
        offset * static_cast<int64_t>(lang::size_of(type));
  }

  template <typename T>
  static void put(void* to, T x) {
    std::memcpy(to, &x, sizeof x);
  }
  template <typename T>
  static double get(const void* from) {
    T x;
    std::memcpy(&x, from, sizeof x);
    return static_cast<double>(x);
  }

  void write(int64_t i, double x) {
    // clang-format off
    switch (type) {
      case Type::Bool: put<uint8_t>(at(i), x != 0); break;
      case Type::U8: put<uint8_t>(at(i), x); break;
      case Type::I8: put<int8_t>(at(i), x); break;
      case Type::U16: put<uint16_t>(at(i), x); break;
      case Type::I16: put<int16_t>(at(i), x); break;
      case Type::U32: put<uint32_t>(at(i), x); break;
      case Type::I32: put<int32_t>(at(i), x); break;
      case Type::U64: put<uint64_t>(at(i), x); break;
      case Type::I64: put<int64_t>(at(i), x); break;
      case Type::F16: put<uint16_t>(at(i), to_float16(x)); break;
      case Type::BF16: put<uint16_t>(at(i), to_bfloat16(x)); break;
      case Type::F32: put<float>(at(i), x); break;
      case Type::F64: put<double>(at(i), x); break;
    }
    // clang-format on
    values[i] = read(i);
  }

  double read(int64_t i) const {
    // clang-format off
    switch (type) {
      case Type::Bool: case Type::U8: return get<uint8_t>(at(i));
      case Type::I8: return get<int8_t>(at(i));
      case Type::U16: return get<uint16_t>(at(i));
      case Type::I16: return get<int16_t>(at(i));
      case Type::U32: return get<uint32_t>(at(i));
      case Type::I32: return get<int32_t>(at(i));
      case Type::U64: return get<uint64_t>(at(i));
      case Type::I64: return get<int64_t>(at(i));
      case Type::F32: return get<float>(at(i));
      case Type::F64: return get<double>(at(i));
      default: break;
    }
    // clang-format on
    uint16_t bits;
    std::memcpy(&bits, at(i), 2);
    return type == Type::F16 ? from_float16(bits) : from_bfloat16(bits);
  }

  void fill(unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> real(-3, 3);
    for (size_t i = 0; i < values.size(); ++i) {
      const double x = real(random);
      write(
          static_cast<int64_t>(i),
          lang::is_float(type)     ? x
              : type == Type::Bool ? double(x > 0)
                                   : std::abs(std::trunc(x * 10)));
    }
  }
};

/// The meaning of a tree at a place, in float64.
class Oracle {
 public:
  Oracle(
      const std::vector<Array>& inputs,
      Shape space,
      std::vector<Role> roles = {})
      : inputs_(inputs), space_(std::move(space)), roles_(std::move(roles)) {
    roles_.resize(inputs.size());
  }

  double at(const Expr& e, int64_t place) const {
    const int64_t width = space_.empty() ? 1 : space_.back();
    const auto arg = [&](int k) { return at(e->args[k], place); };
    switch (e->op) {
      case Op::Input: {
        const Array& x = inputs_[e->input];
        Shape shape = x.shape;
        if (roles_[e->input] == Role::EachRow) {
          shape.push_back(1);
        }
        return x.values[element_at(shape, space_, place)];
      }
      case Op::RowIndex:
        return static_cast<double>(place / std::max<int64_t>(width, 1));
      case Op::Extent: {
        const Shape& shape = inputs_[e->input].shape;
        const int64_t axis = e->axis;
        const auto rank = static_cast<int64_t>(shape.size());
        return static_cast<double>(shape[axis < 0 ? axis + rank : axis]);
      }
      case Op::Random:
        return philox(
            static_cast<uint64_t>(arg(0)), static_cast<uint64_t>(place));
      case Op::Stop:
        return arg(0);
      case Op::Take:
        return take(e, place);
      case Op::CumSum:
        return running_sum(e, place);
      case Op::Constant:
        return e->value;
      case Op::Index:
        return static_cast<double>(place % width);
      case Op::Width:
        return static_cast<double>(width);
      case Op::Add:
        return arg(0) + arg(1);
      case Op::Sub:
        return arg(0) - arg(1);
      case Op::Mul:
        return arg(0) * arg(1);
      case Op::Div:
        return arg(0) / arg(1);
      case Op::Exp:
        return std::exp(arg(0));
      case Op::Sigmoid:
        return 1 / (1 + std::exp(-arg(0)));
      case Op::Tanh:
        return std::tanh(arg(0));
      case Op::Erf:
        return std::erf(arg(0));
      case Op::Rsqrt:
        return 1 / std::sqrt(arg(0));
      case Op::Cast:
      case Op::Real:
        return arg(0);
      case Op::Less:
        return arg(0) < arg(1);
      case Op::Equal:
        return arg(0) == arg(1);
      case Op::Neg:
        return -arg(0);
      case Op::Log:
        return std::log(arg(0));
      case Op::Mod:
        return arg(0) - std::floor(arg(0) / arg(1)) * arg(1);
      case Op::Max:
        return std::max(arg(0), arg(1));
      case Op::BitXor:
        return static_cast<double>(
            static_cast<int64_t>(arg(0)) ^ static_cast<int64_t>(arg(1)));
      case Op::Sin:
        return std::sin(arg(0));
      case Op::Log1p:
        return std::log1p(arg(0));
      case Op::Select:
        return arg(0) != 0 ? arg(1) : arg(2);
      case Op::Pick:
        return pick(e, place);
      default:
        break;
    }
    // Reductions hold others: each is computed once per row.
    const auto key =
        std::make_pair(e.get(), place / std::max<int64_t>(width, 1));
    auto known = reduced_.find(key);
    if (known == reduced_.end()) {
      known = reduced_.emplace(key, reduce(e, key.second * width, width)).first;
    }
    return known->second;
  }

 private:
  double pick(const Expr& e, int64_t place) const {
    const Array& x = inputs_[e->args[0]->input];
    const double where = at(e->args[1], place);
    const int64_t length = x.shape.back();
    if (where < 0 || where >= static_cast<double>(length)) {
      return 0;
    }
    Shape lead(x.shape.begin(), x.shape.end() - 1);
    Shape rows(space_.begin(), space_.end() - 1);
    const int64_t row = place / std::max<int64_t>(space_.back(), 1);
    return x.values
        [element_at(lead, rows, row) * length + static_cast<int64_t>(where)];
  }

  double take(const Expr& e, int64_t place) const {
    const Array& table = inputs_[e->args[0]->input];
    const double row = at(e->args[1], place);
    const int64_t width = table.shape.back();
    const auto rows = static_cast<double>(count(table.shape) / width);
    if (row < 0 || row >= rows) {
      return 0;
    }
    const int64_t column = width == 1 ? 0 : place % width;
    return table.values[static_cast<int64_t>(row) * width + column];
  }

  // Of the whole row at once.
  double running_sum(const Expr& e, int64_t place) const {
    const int64_t width = space_.back();
    const int64_t row = place / width;
    const auto [known, added] = scanned_.try_emplace({e.get(), row});
    if (added) {
      const lang::ScanOrder order = e->order;
      const bool reverse = order == lang::ScanOrder::Reverse ||
          order == lang::ScanOrder::ReverseExclusive;
      const bool exclusive = order == lang::ScanOrder::ForwardExclusive ||
          order == lang::ScanOrder::ReverseExclusive;
      std::vector<double> sums(width);
      double sum = 0;
      for (int64_t k = 0; k < width; ++k) {
        const int64_t i = reverse ? width - 1 - k : k;
        const double x = at(e->args[0], row * width + i);
        sums[i] = exclusive ? sum : sum + x;
        sum += x;
      }
      known->second = std::move(sums);
    }
    return known->second[place % width];
  }

  // Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011.
  static uint32_t philox(uint64_t seed, uint64_t place) {
    uint64_t c0 = place / 4 & 0xFFFFFFFF, c1 = place / 4 >> 32, c2 = 0, c3 = 0;
    uint64_t k0 = seed & 0xFFFFFFFF, k1 = seed >> 32;
    for (int round = 0; round < 10; ++round) {
      const uint64_t a = 0xD2511F53 * c0, b = 0xCD9E8D57 * c2;
      c0 = (b >> 32) ^ c1 ^ k0;
      c1 = b & 0xFFFFFFFF;
      c2 = (a >> 32) ^ c3 ^ k1;
      c3 = a & 0xFFFFFFFF;
      k0 = (k0 + 0x9E3779B9) & 0xFFFFFFFF;
      k1 = (k1 + 0xBB67AE85) & 0xFFFFFFFF;
    }
    const uint64_t words[] = {c0, c1, c2, c3};
    return static_cast<uint32_t>(words[place % 4]);
  }

  double reduce(const Expr& e, int64_t first, int64_t width) const {
    const double inf = std::numeric_limits<double>::infinity();
    double result = e->op == Op::Prod               ? 1
        : e->op == Op::MaxOf || e->op == Op::ArgMax ? -inf
        : e->op == Op::MinOf || e->op == Op::ArgMin ? inf
                                                    : 0;
    double where = 0;
    for (int64_t i = 0; i < width; ++i) {
      const double x = at(e->args[0], first + i);
      switch (e->op) {
        case Op::Sum:
          result += x;
          break;
        case Op::Prod:
          result *= x;
          break;
        default: {
          const bool most = e->op == Op::MaxOf || e->op == Op::ArgMax;
          if (most ? x > result : x < result) {
            result = x;
            where = static_cast<double>(i);
          }
        }
      }
    }
    return e->op == Op::ArgMax || e->op == Op::ArgMin ? where : result;
  }

  const std::vector<Array>& inputs_;
  Shape space_;
  std::vector<Role> roles_;
  mutable std::map<std::pair<const lang::Node*, int64_t>, double> reduced_;
  mutable std::map<std::pair<const lang::Node*, int64_t>, std::vector<double>>
      scanned_;
};

inline double tolerance(Type type) {
  switch (type) {
    case Type::F16:
      return 0x1p-10;
    case Type::BF16:
      return 0x1p-7;
    case Type::F32:
      return 2e-5;
    case Type::F64:
      return 1e-12;
    default:
      return 0;
  }
}

} // namespace zmlx::backend::cpu
