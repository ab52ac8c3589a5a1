#include "zmlx/backend/cfamily/layout.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <optional>

#include "zmlx/backend/space.h"
#include "zmlx/base/errors.h"
#include "zmlx/lang/space.h"

namespace zmlx::backend::cfamily {
namespace {

using lang::Role;

constexpr int64_t kVectorBytes = 16;

/// An array seen from the space: a stride for each of its axes.
struct Seen {
  const View* view = nullptr;
  lang::Strides strides;
  bool along_row = true; // its last stride is that of places
  int64_t length = 0;
  lang::Shape own_extents = {}; // Role::Table
  lang::Strides own_strides = {};
  lang::Shape axes = {}; // outputs: the shape that meets the space
};

lang::Strides seen_strides(
    lang::Shape shape,
    lang::Strides strides,
    const lang::Shape& space,
    const char* what) {
  bool fits = shape.size() <= space.size() && strides.size() == shape.size();
  lang::Strides result(space.size());
  for (size_t i = 0; fits && i < shape.size(); ++i) {
    const size_t axis = space.size() - shape.size() + i;
    fits = shape[i] == 1 || shape[i] == space[axis];
    result[axis] = shape[i] == 1 ? 0 : strides[i];
  }
  if (!fits) {
    throw internal_error("{}: its shape does not broadcast to the space", what);
  }
  return result;
}

lang::Strides with_last(lang::Strides strides, int64_t last) {
  strides.push_back(last);
  return strides;
}

Seen see_table(const View& view, const lang::Shape& space) {
  Seen seen{&view, lang::Strides(space.size())};
  const bool one = view.shape.back() == 1;
  seen.strides.back() = one ? 0 : view.strides.back();
  seen.length = lang::count({view.shape.data(), view.shape.size() - 1});
  for (size_t axis = 0; axis + 1 < view.shape.size(); ++axis) {
    if (view.shape[axis] == 1) {
      continue;
    }
    if (!seen.own_extents.empty() &&
        seen.own_strides.back() == view.strides[axis] * view.shape[axis]) {
      seen.own_extents.back() *= view.shape[axis];
      seen.own_strides.back() = view.strides[axis];
    } else {
      seen.own_extents.push_back(view.shape[axis]);
      seen.own_strides.push_back(view.strides[axis]);
    }
  }
  return seen;
}

Seen see_input(const View& view, Role role, const lang::Shape& space) {
  switch (role) {
    case Role::Scalar:
      return {&view, lang::Strides(space.size())};
    case Role::EachRow: {
      auto shape = view.shape;
      shape.push_back(1);
      return {
          &view,
          seen_strides(shape, with_last(view.strides, 0), space, "input")};
    }
    case Role::Row: {
      const lang::Shape rows(view.shape.begin(), view.shape.end() - 1);
      const lang::Shape of_rows(space.begin(), space.end() - 1);
      auto strides = view.strides;
      strides.pop_back();
      return {
          &view,
          with_last(
              seen_strides(rows, strides, of_rows, "input"),
              view.strides.back()),
          false,
          view.shape.back()};
    }
    case Role::Table:
      return see_table(view, space);
    default: // its own row can be picked from
      return {
          &view,
          seen_strides(view.shape, view.strides, space, "input"),
          true,
          view.shape.empty() ? 1 : view.shape.back()};
  }
}

Seen see_output(const View& view, bool one_per_row, const lang::Shape& space) {
  Seen seen{&view};
  seen.axes = view.shape;
  auto strides = view.strides;
  if (one_per_row &&
      (view.shape.empty() || view.shape.back() != 1 ||
       view.shape.size() < space.size())) {
    seen.axes.push_back(1);
    strides.push_back(0);
  }
  seen.strides = seen_strides(seen.axes, strides, space, "output");
  return seen;
}

/// Axes of rows, merged where all arrays allow it.
struct Axes {
  lang::Shape extents;
  std::vector<lang::Strides> strides; // by array
};

Axes merge(const lang::Shape& space, const std::vector<Seen>& all, size_t end) {
  Axes axes{{}, std::vector<lang::Strides>(all.size())};
  for (size_t axis = 0; axis < end; ++axis) {
    if (space[axis] == 1) {
      continue;
    }
    bool merges = !axes.extents.empty();
    for (size_t i = 0; merges && i < all.size(); ++i) {
      merges = axes.strides[i].back() == all[i].strides[axis] * space[axis];
    }
    if (merges) {
      axes.extents.back() *= space[axis];
    } else {
      axes.extents.push_back(space[axis]);
    }
    for (size_t i = 0; i < all.size(); ++i) {
      if (!merges) {
        axes.strides[i].push_back(0);
      }
      axes.strides[i].back() = all[i].strides[axis];
    }
  }
  return axes;
}

int64_t size_of(const Seen& seen) {
  return static_cast<int64_t>(lang::size_of(seen.view->type));
}

bool is_vector(
    const Seen& seen,
    const lang::Strides& strides,
    int64_t step,
    int64_t places) {
  const int64_t bytes = std::min(places * size_of(seen), kVectorBytes);
  const auto aligned = [&](int64_t elements) {
    return elements * size_of(seen) % bytes == 0;
  };
  return seen.along_row && step == 1 &&
      seen.view->data.value() % static_cast<uintptr_t>(bytes) == 0 &&
      (!seen.view->at || aligned(seen.view->at_stride)) &&
      std::ranges::all_of(strides, aligned) &&
      std::ranges::all_of(seen.own_strides, aligned);
}

/// The places of one vector: as many of the smallest elements as 16 bytes hold,
/// fewer where that lets more arrays be read in vectors.
int choose_places(
    const std::vector<Seen>& all,
    const Axes& axes,
    const lang::Strides& steps,
    int64_t width,
    bool crosses,
    int most) {
  int64_t places = most;
  int64_t smallest = kVectorBytes;
  bool any = false;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].along_row && steps[i] == 1) {
      smallest = std::min(smallest, size_of(all[i]));
      any = true;
    }
  }
  places = std::min(places, kVectorBytes / smallest);
  for (; any && places > 1; places /= 2) {
    bool good = !crosses || width % places == 0;
    for (size_t i = 0; good && i < all.size(); ++i) {
      good = !all[i].along_row || steps[i] != 1 ||
          is_vector(all[i], axes.strides[i], 1, places);
    }
    if (good) {
      return static_cast<int>(places);
    }
  }
  return 1;
}

int64_t reach(const Seen& seen) {
  int64_t most = 0;
  for (size_t i = 0; i < seen.view->shape.size(); ++i) {
    most += std::abs(seen.view->strides[i]) *
        std::max<int64_t>(seen.view->shape[i] - 1, 0);
  }
  return most;
}

OperandPlace
place_of(const Seen& seen, const lang::Strides& strides, int64_t step) {
  return {
      seen.view->data,
      strides,
      step,
      seen.length,
      seen.own_extents,
      seen.own_strides,
      seen.view->shape,
      seen.view->at,
      seen.view->at_stride};
}

std::vector<const lang::Store*> stores_of(const lang::Program& program) {
  std::vector<const lang::Store*> stores(program.outputs.size());
  for (const auto& pass : program.row.passes) {
    for (const auto& store : pass.stores) {
      if (store.output >= 0) {
        stores[store.output] = &store;
      }
    }
  }
  return stores;
}

} // namespace

bool is_flat(const lang::Program& program) {
  if (program.stage != lang::Stage::Map) {
    return false;
  }
  return std::ranges::none_of(
      program.row.passes[0].stores, [](const lang::Store& s) {
        return s.one_per_row || s.into != lang::Into::Place;
      });
}

std::vector<bool>
summed_axes(const View& output, bool one_per_row, const lang::Shape& space) {
  const Seen seen = see_output(output, one_per_row, space);
  const size_t missing = space.size() - seen.axes.size();
  std::vector<bool> summed;
  for (size_t axis = 0; axis + 1 < space.size(); ++axis) {
    summed.push_back(
        space[axis] != 1 && (axis < missing || seen.axes[axis - missing] == 1));
  }
  return summed;
}

lang::Type sum_type(const lang::Program& program, int output) {
  for (const auto& pass : program.row.passes) {
    for (const auto& store : pass.stores) {
      if (store.output == output) {
        return pass.code[store.value].type;
      }
    }
  }
  throw internal_error("emitted text: nothing is stored in output {}", output);
}

namespace {

/// Groups are the places along the axes of rows that are not summed.
void bind_groups(Bound& bound) {
  bound.groups = 1;
  for (size_t axis = 0; axis < bound.axes.size(); ++axis) {
    (bound.layout.reduced[axis] ? bound.members : bound.groups) *=
        bound.axes[axis];
  }
}

int64_t rows_of(const View& output) {
  return lang::count({output.shape.data(), output.shape.size() - 1});
}

} // namespace

Bound bind(
    const lang::Program& program,
    std::span<const View> inputs,
    std::span<const View> outputs,
    int most_places,
    Sums mode) {
  Bound bound;
  bound.space = find_space(program, inputs, outputs);
  if (bound.space.empty()) {
    bound.space = {1};
  }
  const lang::Shape& space = bound.space;
  auto sums = std::vector<bool>(outputs.size());
  if (mode == Sums::None) {
    sums = find_sums(program, outputs, space);
  }
  const auto stores = stores_of(program);
  std::vector<Seen> all;
  std::vector<OperandLayout*> layouts;
  std::vector<OperandPlace*> places;
  bound.inputs.resize(inputs.size());
  bound.outputs.resize(outputs.size());
  bound.layout.inputs.resize(inputs.size());
  bound.layout.outputs.resize(outputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    all.push_back(see_input(inputs[i], program.roles[i], space));
    layouts.push_back(&bound.layout.inputs[i]);
    places.push_back(&bound.inputs[i]);
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!stores[i]) {
      continue;
    }
    if (mode == Sums::Named) {
      bound.layout.outputs[i].summed = true;
      bound.layout.outputs[i].step =
          stores[i]->one_per_row ? Step::Same : Step::Adjacent;
      bound.groups = rows_of(outputs[i]);
      continue;
    }
    bound.layout.outputs[i].summed = sums[i];
    all.push_back(see_output(outputs[i], stores[i]->one_per_row, space));
    layouts.push_back(&bound.layout.outputs[i]);
    places.push_back(&bound.outputs[i]);
  }

  const bool flat = is_flat(program);
  bound.flat = flat;
  Axes axes = merge(space, all, space.size() - (flat ? 0 : 1));
  lang::Strides steps;
  if (flat) { // the last of the merged axes is that of places
    bound.width = axes.extents.empty() ? 1 : axes.extents.back();
    for (size_t i = 0; i < all.size(); ++i) {
      steps.push_back(axes.extents.empty() ? 0 : axes.strides[i].back());
      if (!axes.extents.empty()) {
        axes.strides[i].pop_back();
      }
    }
    if (!axes.extents.empty()) {
      axes.extents.pop_back();
    }
  } else {
    bound.width = space.back();
    for (const Seen& seen : all) {
      steps.push_back(
          seen.along_row && bound.width == 1 ? 0 : seen.strides.back());
    }
  }
  bound.rows = lang::count(axes.extents);
  bound.axes = axes.extents;

  Layout& layout = bound.layout;
  layout.sums = mode;
  layout.axes = static_cast<int>(axes.extents.size());
  const bool crosses = flat && layout.axes > 0;
  layout.places =
      choose_places(all, axes, steps, bound.width, crosses, most_places);
  layout.whole = bound.width % layout.places == 0;
  // Threads count in 32 bits with room for what is beyond the end.
  constexpr int64_t kNarrow = int64_t{1} << 30;
  layout.wide = lang::count(space) >= kNarrow;
  for (size_t i = 0; i < all.size(); ++i) {
    OperandLayout& operand = *layouts[i];
    operand.step = steps[i] == 0 ? Step::Same
        : steps[i] == 1          ? Step::Adjacent
                                 : Step::Apart;
    operand.vector = layout.places > 1 &&
        is_vector(all[i], axes.strides[i], steps[i], layout.places);
    for (int64_t stride : axes.strides[i]) {
      operand.moves.push_back(stride != 0);
    }
    operand.placed = bool(all[i].view->at);
    operand.own_axes = static_cast<int>(all[i].own_extents.size());
    layout.wide =
        layout.wide || reach(all[i]) >= kNarrow || all[i].length >= kNarrow;
    *places[i] = place_of(all[i], axes.strides[i], steps[i]);
    if (operand.summed && layout.sums == Sums::None) {
      layout.sums = Sums::Groups;
      for (bool moves : operand.moves) {
        layout.reduced.push_back(!moves);
      }
      bind_groups(bound);
    }
  }
  return bound;
}

} // namespace zmlx::backend::cfamily
