#include "zmlx/patch/patch.h"

#include <algorithm>
#include <chrono>
#include <map>

#include "zmlx/base/errors.h"
#include "zmlx/graph/fold.h"
#include "zmlx/patch/run_state.h"
#include "zmlx/plan/step.h"

namespace zmlx {

namespace patch_detail {

/// Contexts start at this many tokens and double when full.
constexpr int kFirstCapacity = 512;

using GraphPtr = std::shared_ptr<const graph::Graph>;
using PlanPtr = std::shared_ptr<const plan::Plan>;

/// A model, its folds, and the steps made so far, one a capacity.
class Patched {
 public:
  Patched(std::shared_ptr<const nn::Model> model, const PatchOptions& options)
      : model(std::move(model)),
        folds(graph::folds_of(options.patterns, options.exclude)) {
    auto start = std::chrono::steady_clock::now();
    graph_for = [this](int capacity) { return graph_of(capacity); };
    plan_for = [this](int capacity) { return plan_of(capacity); };
    std::string why;
    try {
      lift_first(&why);
    } catch (const UserError& e) {
      why = e.what();
      original = nn::plain_decoder(this->model);
    }
    describe(why);
    std::chrono::duration<double> spent =
        std::chrono::steady_clock::now() - start;
    report.capture_seconds = spent.count();
  }

  int first_capacity() const {
    return std::min(kFirstCapacity, std::max(1, model->shape().max_positions));
  }

  std::unique_ptr<nn::State> new_state(int capacity) {
    if (original) {
      return original->new_state(capacity);
    }
    if (capacity < 1) {
      throw user_error("capacity must be at least 1 token, got {}", capacity);
    }
    int first = std::min(capacity, first_capacity());
    return first_plan
        ? replayed_state(this, model->shape(), plan_for, first, capacity)
        : rebuilt_state(this, model->shape(), graph_for, first, capacity);
  }

  RunState& append(const std::vector<int>& tokens, nn::State& state) {
    auto* mine = dynamic_cast<RunState*>(&state);
    if (!mine || mine->owner() != this) {
      throw user_error("forward: the state belongs to another decoder");
    }
    if (tokens.empty()) {
      throw user_error("forward: no tokens");
    }
    const int vocab_size = model->shape().vocab_size;
    for (int token : tokens) {
      if (token < 0 || token >= vocab_size) {
        throw user_error(
            "forward: token {} is outside the vocabulary of {}",
            token,
            vocab_size);
      }
    }
    mine->append(tokens);
    return *mine;
  }

  std::shared_ptr<const nn::Model> model;
  std::vector<std::string> folds;
  GraphPtr first_graph; // null: the model cannot be captured
  PlanPtr first_plan; // null: parts of the step have no kernel
  std::unique_ptr<nn::Decoder> original; // where nothing could be captured
  Report report;

 private:
  void lift_first(std::string* why) {
    auto lifted = plan::capture_step(*model, first_capacity());
    report.captured = static_cast<int>(std::count_if(
        lifted.nodes.begin(), lifted.nodes.end(), [](const auto& node) {
          return node.kind == graph::Kind::Kernel ||
              node.kind == graph::Kind::Foreign;
        }));
    first_graph =
        std::make_shared<const graph::Graph>(graph::apply_folds(lifted, folds));
    first_plan = plan::Plan::make(first_graph, why);
  }

  void describe(const std::string& why) {
    int captured = report.captured;
    if (first_graph) {
      report = make_report(*first_graph, first_plan.get());
    }
    report.model_type = model->shape().model_type;
    report.layers = static_cast<int>(model->shape().caches.size());
    report.captured = captured;
    report.folds = folds;
    report.plan_reason = why;
  }

  GraphPtr graph_of(int capacity) {
    if (capacity == first_capacity()) {
      return first_graph;
    }
    auto& graph = graphs_[capacity];
    if (!graph) {
      graph = std::make_shared<const graph::Graph>(
          graph::apply_folds(plan::capture_step(*model, capacity), folds));
    }
    return graph;
  }

  PlanPtr plan_of(int capacity) {
    if (capacity == first_capacity()) {
      return first_plan;
    }
    auto& plan = plans_[capacity];
    if (!plan) {
      std::string why;
      plan = plan::Plan::make(graph_of(capacity), &why);
      if (!plan) {
        throw internal_error("no plan for {} tokens: {}", capacity, why);
      }
    }
    return plan;
  }

  std::map<int, GraphPtr> graphs_;
  std::map<int, PlanPtr> plans_;

 public:
  GraphFor graph_for;
  PlanFor plan_for;
};

} // namespace patch_detail

using patch_detail::Patched;

PatchedDecoder::PatchedDecoder(std::unique_ptr<Patched> impl)
    : impl_(std::move(impl)) {}

PatchedDecoder::~PatchedDecoder() = default;

const nn::DecoderShape& PatchedDecoder::shape() const {
  return impl_->model->shape();
}

const Report& PatchedDecoder::report() const {
  return impl_->report;
}

const plan::Plan* PatchedDecoder::plan() const {
  return impl_->first_plan.get();
}

const graph::Graph* PatchedDecoder::graph() const {
  return impl_->first_graph.get();
}

const std::shared_ptr<const nn::Model>& PatchedDecoder::model() const {
  return impl_->model;
}

std::unique_ptr<nn::State> PatchedDecoder::new_state(int capacity) {
  return impl_->new_state(capacity);
}

mx::array PatchedDecoder::forward(
    const std::vector<int>& tokens,
    nn::State& state) {
  return impl_->original ? impl_->original->forward(tokens, state)
                         : impl_->append(tokens, state).logits();
}

int PatchedDecoder::next_token(
    const std::vector<int>& tokens,
    nn::State& state) {
  return impl_->original ? impl_->original->next_token(tokens, state)
                         : impl_->append(tokens, state).likeliest();
}

std::unique_ptr<PatchedDecoder> patch(
    std::shared_ptr<const nn::Model> model,
    const PatchOptions& options) {
  return std::unique_ptr<PatchedDecoder>(
      new PatchedDecoder(std::make_unique<Patched>(std::move(model), options)));
}

std::unique_ptr<nn::Decoder> unpatch(std::unique_ptr<PatchedDecoder> patched) {
  auto model = patched->model();
  patched.reset();
  return nn::plain_decoder(std::move(model));
}

const std::vector<graph::Pattern>& list_patterns() {
  return graph::patterns();
}

} // namespace zmlx
