#include "zmlx/backend/cfamily/signature.h"

#include <algorithm>

#include "zmlx/base/errors.h"

namespace zmlx::backend::cfamily {
namespace {

std::string name_of(const Parameter& p) {
  const auto array = array_name(p.output, p.number);
  switch (p.kind) {
    case Parameter::Data:
      return array;
    case Parameter::At:
      return array + "_at";
    case Parameter::AtStride:
      return array + "_at_stride";
    case Parameter::Stride:
      return fmt::format("{}_stride{}", array, p.axis);
    case Parameter::Step:
      return array + "_step";
    case Parameter::Length:
      return array + "_length";
    case Parameter::OwnExtent:
      return fmt::format("{}_own_extent{}", array, p.axis);
    case Parameter::OwnStride:
      return fmt::format("{}_own_stride{}", array, p.axis);
    case Parameter::Extent:
      return fmt::format(
          "{}_{}{}", array, p.axis < 0 ? "last" : "axis", std::abs(p.axis));
    case Parameter::RowExtent:
      return fmt::format("extent{}", p.axis);
    case Parameter::Rows:
      return "rows";
    case Parameter::Width:
      return "width";
    case Parameter::Fault:
      return "fault";
    case Parameter::Parts:
      return array + "_parts";
    case Parameter::Names:
      return "names";
    case Parameter::Groups:
      return "groups";
    case Parameter::Members:
      return "members";
    case Parameter::Stripes:
      return "stripes";
    case Parameter::Turns:
      return "turns";
    case Parameter::Count:
      return "count";
  }
  return "";
}

} // namespace

std::string array_name(bool output, int number) {
  return fmt::format("{}{}", output ? "out" : "in", number);
}

std::string Signature::name(const Parameter& parameter) {
  if (std::ranges::find(parameters_, parameter) == parameters_.end()) {
    parameters_.push_back(parameter);
  }
  return name_of(parameter);
}

std::string Signature::text(const Dialect& dialect) const {
  std::string text;
  for (const Parameter& p : parameters_) {
    text += text.empty() ? "\n    " : ",\n    ";
    if (p.kind == Parameter::Data) {
      const auto& types = p.output ? program_.outputs : program_.inputs;
      const auto type = stored_name(dialect, types.at(p.number));
      text += p.output
          ? fmt::format("{}* ", type)
          : fmt::format("const {}* {}", type, dialect.restrict_input);
    } else if (p.kind == Parameter::Parts) {
      text += fmt::format(
          "{}* ", value_name(dialect, sum_type(program_, p.number)));
    } else if (p.kind == Parameter::Names) {
      text += layout_.sums == Sums::Names ? "long* " : "const long* ";
    } else if (p.kind == Parameter::At) {
      text += "const int* ";
    } else if (p.kind == Parameter::Fault) {
      text += "FaultCell* ";
    } else {
      text += "index_t ";
    }
    text += name_of(p);
  }
  return text;
}

bool is_address(const Parameter& p) {
  return p.kind == Parameter::Data || p.kind == Parameter::At ||
      p.kind == Parameter::Fault || p.kind == Parameter::Parts ||
      p.kind == Parameter::Names;
}

namespace {

int64_t extent_of(const OperandPlace& place, int axis) {
  const auto rank = static_cast<int>(place.shape.size());
  return place.shape.at(axis < 0 ? axis + rank : axis);
}

} // namespace

int64_t argument(const Parameter& p, const Bound& bound, Address fault) {
  const auto& arrays = p.output ? bound.outputs : bound.inputs;
  const auto address = [](Address a) {
    return static_cast<int64_t>(a.value());
  };
  switch (p.kind) {
    case Parameter::Data:
      return address(arrays.at(p.number).data);
    case Parameter::At:
      return address(arrays.at(p.number).at);
    case Parameter::AtStride:
      return arrays.at(p.number).at_stride;
    case Parameter::Stride:
      return arrays.at(p.number).strides.at(p.axis);
    case Parameter::Step:
      return arrays.at(p.number).step;
    case Parameter::Length:
      return arrays.at(p.number).length;
    case Parameter::OwnExtent:
      return arrays.at(p.number).own_extents.at(p.axis);
    case Parameter::OwnStride:
      return arrays.at(p.number).own_strides.at(p.axis);
    case Parameter::Extent:
      return extent_of(arrays.at(p.number), p.axis);
    case Parameter::RowExtent:
      return bound.axes.at(p.axis);
    case Parameter::Rows:
      return bound.rows;
    case Parameter::Width:
      return bound.width;
    case Parameter::Fault:
      return address(fault);
    case Parameter::Parts:
      return address(bound.parts.at(p.number));
    case Parameter::Names:
      return address(bound.names);
    case Parameter::Groups:
      return bound.groups;
    case Parameter::Members:
      return bound.members;
    case Parameter::Stripes:
      return bound.stripes;
    case Parameter::Turns:
      return (bound.members + bound.stripes - 1) / bound.stripes;
    case Parameter::Count:
      return bound.groups * bound.places_of_sum(p.number);
  }
  throw internal_error("emitted text: a parameter of no kind");
}

} // namespace zmlx::backend::cfamily
