#pragma once

#include <compare>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <mlx/mlx.h>

#include "zmlx/export.h"
#include "zmlx/lang/kernel.h"

namespace zmlx::graph {

namespace mx = mlx::core;

/// Result `result` of node `node`.
struct Ref {
  int node = -1;
  int result = 0;
  auto operator<=>(const Ref&) const = default;
};

/// How a reader sees the storage of a value, in elements. Where `at` names a
/// 0-d int32 value, element 0 stands at offset + at * at_stride: the row of a
/// table that the token names, the place in a cache that the position names.
struct View {
  lang::Shape shape;
  lang::Strides strides;
  int64_t offset = 0;
  Ref at;
  int64_t at_stride = 0;
  bool operator==(const View&) const = default;
};

/// A value as a node reads it.
struct Operand {
  Ref value;
  View view;
  bool operator==(const Operand&) const = default;
};

/// What a node makes. Its storage is its own, contiguous, of `shape`; with a
/// `target` it is instead written into that view of an earlier value, and who
/// refers to the result sees the whole of the earlier value, changed.
struct Result {
  std::string name;
  lang::Type type;
  lang::Shape shape;
  std::optional<Operand> target;
};

/// What a placeholder stands for, and how the values behind it go on from step
/// to step.
struct Slot {
  enum class Kind : uint8_t {
    Cell, // one int32 that the step is given: the token, the position
    State, // an array that the conversation keeps (nn/state_slot.h)
  };
  Kind kind;
  int id; // which cell (plan/cells.h), or which array of the state
  /// The first axis of the storage has one place a token: it is as long as the
  /// context, and strides do not depend on its length.
  bool grows = false;
  bool operator==(const Slot&) const = default;
};

enum class Kind : uint8_t {
  Placeholder, // given anew each step: token, position, caches
  Constant, // known when the graph was made: weights, tables
  Kernel, // a body of the language
  Foreign, // an MLX primitive that has no kernel here
};

/// One node. Values refer to nodes that stand earlier in the graph.
struct Node {
  Kind kind;
  std::string name; // "token"; a weight's name; a kernel's name; "FFT"
  std::vector<Result> results;
  std::vector<Operand> operands; // Kernel, Foreign: one per input
  lang::Body body; // Kernel
  std::optional<mx::array> array; // Placeholder, Constant
  std::optional<Slot> slot; // Placeholder of a step
  std::shared_ptr<mx::Primitive> primitive; // Foreign
  std::string reason; // Foreign: why it has no kernel
  std::vector<std::string> sites; // where in the model its parts stood
  std::vector<std::string> folds; // which folds made it
  int group = -1; // nodes of one group run in one launch
  int tail_of = -1; // runs in that node's launch, by who is done last there
};

/// A place where a fold might have fitted and did not, for the user to read.
struct Note {
  std::string fold;
  std::string kernel; // label_of() the node that it would have changed
  std::vector<std::string> sites; // places_of() it
  std::string reason;
};

/// A step as a list of nodes in an order that can be run. Immutable by habit:
/// folds take a copy.
struct Graph {
  mx::Device device = mx::Device::cpu; // that the step runs on
  std::vector<Node> nodes;
  struct Output {
    std::string name;
    Operand value;
  };
  std::vector<Output> outputs;
  std::vector<Note> notes; // what folds left as it was

  const Result& result(Ref ref) const {
    return nodes[ref.node].results[ref.result];
  }
};

/// Shape of the storage behind a value: the target's where it has one.
ZMLX_API const lang::Shape& storage_shape(const Graph& graph, Ref ref);

/// The value whose storage `ref` shares: the start of its chain of targets.
ZMLX_API Ref storage_of(const Graph& graph, Ref ref);

/// The types that a node reads, one per operand.
ZMLX_API std::vector<lang::Type> operand_types(
    const Graph& graph,
    const Node& node);

/// Calls visit(ref, operand) for every value that a node refers to; operand is
/// -1 for what is not an operand itself: targets, and what places a view.
template <typename Visit>
void for_each_ref(const Node& node, Visit visit) {
  const auto see = [&](const Operand& operand, int number) {
    visit(operand.value, number);
    if (operand.view.at.node >= 0) {
      visit(operand.view.at, -1);
    }
  };
  for (size_t i = 0; i < node.operands.size(); i++) {
    see(node.operands[i], static_cast<int>(i));
  }
  for (const auto& result : node.results) {
    if (result.target) {
      see(*result.target, -1);
    }
  }
}

/// Who reads a value: operand `operand` of node `node`, or output `operand`
/// where node is -1. Targets and `at`s count as reads, with operand -1.
struct Reader {
  int node;
  int operand;
};
ZMLX_API std::vector<std::vector<Reader>> readers(const Graph& graph);

/// InternalError that names the node when an invariant is broken: order, view
/// inside its storage, as many operands as inputs, shapes that fit the body.
ZMLX_API void check(const Graph& graph);

/// Without the nodes that no output or target needs, numbered anew:
/// placeholders and constants first, the rest in their order.
ZMLX_API Graph compact(const Graph& graph);

} // namespace zmlx::graph
