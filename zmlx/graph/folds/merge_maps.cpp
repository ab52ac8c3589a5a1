// A map whose only reader is another map, or a row program, becomes a part of
// its formula.

#include "zmlx/graph/fold.h"
#include "zmlx/graph/fuse.h"

namespace zmlx::graph {
namespace {

bool wanted(const Node& producer, const Node& consumer) {
  auto form = form_of(consumer.body);
  return form_of(producer.body) == Form::Map &&
      (form == Form::Map || form == Form::Row) &&
      !consumer.results[0].target.has_value();
}

const AddFold kFold({
    .name = "merge_maps",
    .summary = "element-wise formulas that follow each other become one",
    .order = 10,
    .run = [](Graph& graph) { fuse_all(graph, "merge_maps", wanted); },
});

} // namespace
} // namespace zmlx::graph
