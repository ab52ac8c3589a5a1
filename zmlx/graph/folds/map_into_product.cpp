// A map over the results of a product, such as silu(gate) * up, a bias or the
// residual, is computed as the product stores.

#include "zmlx/graph/fold.h"
#include "zmlx/graph/fuse.h"

namespace zmlx::graph {
namespace {

const AddFold kFold({
    .name = "map_into_product",
    .summary = "the gate, bias or residual after a product is computed as it "
               "stores",
    .order = 35,
    .run =
        [](Graph& graph) {
          fuse_all(graph, "map_into_product", [](const Node& p, const Node& c) {
            return form_of(p.body) == Form::Product &&
                form_of(c.body) == Form::Map &&
                !c.results[0].target.has_value();
          });
        },
});

} // namespace
} // namespace zmlx::graph
