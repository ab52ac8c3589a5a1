// What makes the row of a product, a norm or a map, is computed while the
// product loads it.

#include "zmlx/graph/fold.h"
#include "zmlx/graph/fuse.h"

namespace zmlx::graph {
namespace {

const AddFold kFold({
    .name = "row_into_product",
    .summary = "the norm or map before a product is computed as it loads",
    .order = 40,
    .run =
        [](Graph& graph) {
          fuse_all(graph, "row_into_product", [](const Node& p, const Node& c) {
            auto form = form_of(p.body);
            return form_of(c.body) == Form::Product &&
                (form == Form::Map || form == Form::Row);
          });
        },
});

} // namespace
} // namespace zmlx::graph
