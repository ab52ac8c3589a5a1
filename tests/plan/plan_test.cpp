#include "zmlx/plan/plan.h"

#include <gtest/gtest.h>

#include "tests/peer/chosen.h"
#include "zmlx/graph/fold.h"
#include "zmlx/graph/lift.h"
#include "zmlx/graph/presets.h"
#include "zmlx/graph/view.h"

namespace zmlx::plan {
namespace {

using graph::Kind;
using graph::Ref;

std::shared_ptr<const Plan> plan_of(graph::Graph graph) {
  std::string why;
  auto plan =
      Plan::make(std::make_shared<const graph::Graph>(std::move(graph)), &why);
  EXPECT_NE(plan, nullptr) << why;
  return plan;
}

/// A graph of many small operations that read each other at random: `seed`
/// decides.
graph::Graph random_graph(uint32_t seed, int operations) {
  auto next = [&seed](size_t below) {
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
  };
  auto x = graph::placeholder({1, 16}, mx::float32);
  std::vector<mx::array> values{x};
  for (int i = 0; i < operations; i++) {
    const auto& a = values[next(values.size())];
    const auto& b =
        values[values.size() - 1 - next(std::min<size_t>(values.size(), 4))];
    switch (next(4)) {
      case 0:
        values.push_back(mx::softmax(a + b, -1));
        break;
      case 1:
        values.push_back(mx::sum(a * b, -1, true) + b);
        break;
      case 2:
        values.push_back(mx::sin(a) - b);
        break;
      default:
        values.push_back(mx::exp(a) * b);
    }
  }
  return graph::lift(
      {{"x", x, graph::Slot{graph::Slot::Kind::State, 0}}},
      {{"last", values.back() * 1.5f},
       {"middle", values[operations / 2] + 1.f}},
      [](const mx::array&) { return ""; },
      test_peer::chosen_device());
}

/// The rounds in which a node's results are needed: from its own to the last
/// that reads them, or the end where an output is.
struct Life {
  int first = -1, last = -1;
};

std::vector<Life> lives_of(const Plan& plan) {
  const auto& graph = plan.graph();
  std::vector<int> round(graph.nodes.size(), -1);
  for (size_t r = 0; r < plan.rounds().size(); r++) {
    for (const auto* list :
         {&plan.rounds()[r].nodes, &plan.rounds()[r].tails}) {
      for (int n : *list) {
        round[n] = static_cast<int>(r);
      }
    }
  }
  std::vector<Life> lives(graph.nodes.size());
  for (size_t n = 0; n < graph.nodes.size(); n++) {
    lives[n] = {round[n], round[n]};
  }
  for (size_t n = 0; n < graph.nodes.size(); n++) {
    graph::for_each_ref(graph.nodes[n], [&](Ref ref, int) {
      lives[ref.node].last = std::max(lives[ref.node].last, round[n]);
    });
  }
  for (const auto& output : graph.outputs) {
    lives[output.value.value.node].last =
        static_cast<int>(plan.rounds().size());
  }
  return lives;
}

void expect_sound(const Plan& plan) {
  const auto& graph = plan.graph();
  const auto lives = lives_of(plan);
  int scheduled = 0;
  for (size_t n = 0; n < graph.nodes.size(); n++) {
    scheduled += lives[n].first >= 0;
    // What a node reads was made in an earlier round, or it is a tail.
    graph::for_each_ref(graph.nodes[n], [&](Ref ref, int) {
      if (lives[n].first >= 0 && graph.nodes[n].tail_of < 0) {
        EXPECT_LT(lives[ref.node].first, lives[n].first);
      }
    });
  }
  int kernels = 0;
  for (const auto& node : graph.nodes) {
    kernels += node.kind == Kind::Kernel;
  }
  EXPECT_EQ(scheduled, kernels);

  struct Block {
    int node;
    int64_t begin, end;
  };
  std::vector<Block> blocks;
  for (size_t n = 0; n < graph.nodes.size(); n++) {
    for (size_t i = 0; i < graph.nodes[n].results.size(); i++) {
      const Ref ref{static_cast<int>(n), static_cast<int>(i)};
      if (graph.nodes[n].kind != Kind::Kernel ||
          graph.result(ref).target.has_value()) {
        continue;
      }
      const auto bytes = graph::element_count(graph.result(ref).shape) *
          static_cast<int64_t>(lang::size_of(graph.result(ref).type));
      const auto begin = plan.offset(ref);
      EXPECT_EQ(begin % 64, 0);
      EXPECT_LE(begin + bytes, static_cast<int64_t>(plan.arena_bytes()));
      for (const auto& other : blocks) {
        const bool together = lives[n].first <= lives[other.node].last &&
            lives[other.node].first <= lives[n].last;
        const bool overlap = begin < other.end && other.begin < begin + bytes;
        EXPECT_FALSE(together && overlap) << graph.nodes[n].name << " lies on "
                                          << graph.nodes[other.node].name;
      }
      blocks.push_back({static_cast<int>(n), begin, begin + bytes});
    }
  }
}

TEST(Plan, ValuesThatLiveAtOnceLieApart) {
  for (uint32_t seed = 1; seed <= 20; seed++) {
    auto lifted = random_graph(seed, 30);
    expect_sound(*plan_of(lifted));
    expect_sound(*plan_of(graph::apply_folds(lifted, graph::folds_of({}, {}))));
  }
}

TEST(Plan, MemoryOfDeadValuesIsUsedAgain) {
  auto x = graph::placeholder({1, 64}, mx::float32);
  auto y = x;
  for (int i = 0; i < 12; i++) {
    y = mx::softmax(y, -1); // one launch each
  }
  const auto plan = plan_of(graph::lift(
      {{"x", x, graph::Slot{graph::Slot::Kind::State, 0}}},
      {{"y", y}},
      [](const mx::array&) { return ""; },
      test_peer::chosen_device()));
  EXPECT_EQ(plan->rounds().size(), 12u);
  EXPECT_EQ(plan->arena_bytes(), 2 * 64 * sizeof(float));
}

/// x -> logits = W x, likeliest = argmax, beside a cache that x goes into.
graph::Graph head_graph() {
  auto x = graph::placeholder({1, 32}, mx::float32);
  auto cache = graph::placeholder({8, 32}, mx::float32);
  auto position = graph::placeholder({1}, mx::int32);
  auto h = mx::softmax(x, -1);
  auto logits = mx::matmul(
      h, mx::transpose(mx::random::normal({10, 32}, mx::random::key(1))));
  return graph::lift(
      {{"x", x, graph::Slot{graph::Slot::Kind::State, 0}},
       {"cache", cache, graph::Slot{graph::Slot::Kind::State, 1, true}},
       {"position", position, graph::Slot{graph::Slot::Kind::Cell, 1}}},
      {{"logits", logits},
       {"likeliest", mx::argmax(logits, -1)},
       {"cache", mx::slice_update(cache, h, position, {0})}},
      [](const mx::array&) { return ""; },
      test_peer::chosen_device());
}

TEST(Plan, WhatOnlyOutputsNeedIsTold) {
  const auto plan = plan_of(head_graph());
  int only = 0;
  for (const auto& round : plan->rounds()) {
    const auto& node = plan->graph().nodes[round.nodes[0]];
    const bool for_cache = node.results[0].target.has_value() ||
        graph::element_count(node.results[0].shape) == 32;
    EXPECT_EQ(round.only_for_outputs, !for_cache) << node.name;
    only += round.only_for_outputs;
  }
  EXPECT_EQ(only, 2); // the product and the argmax
}

TEST(Plan, ATailSharesTheRoundOfItsHead) {
  const auto graph = graph::apply_folds(head_graph(), {"lm_head"});
  const auto plan = plan_of(graph);
  const auto without = plan_of(head_graph());
  EXPECT_EQ(plan->rounds().size() + 1, without->rounds().size());
  int tails = 0;
  for (const auto& round : plan->rounds()) {
    for (int tail : round.tails) {
      EXPECT_EQ(plan->graph().nodes[tail].tail_of, round.nodes[0]);
      tails++;
    }
  }
  EXPECT_EQ(tails, 1);
  expect_sound(*plan);
}

TEST(Plan, NodesOfOneGroupShareARound) {
  auto x = graph::placeholder({1, 16}, mx::float32);
  auto h = mx::softmax(x, -1);
  auto graph = graph::lift(
      {{"x", x, graph::Slot{graph::Slot::Kind::State, 0}}},
      {{"a", mx::exp(h)}, {"b", mx::sin(h)}, {"c", mx::cos(h)}},
      [](const mx::array&) { return ""; },
      test_peer::chosen_device());
  EXPECT_EQ(plan_of(graph)->rounds().size(), 4u);
  for (auto& node : graph.nodes) {
    if (node.kind == Kind::Kernel && node.name != "softmax" &&
        node.operands[0].value.node != 0) {
      node.group = 1;
    }
  }
  const auto plan = plan_of(graph);
  EXPECT_EQ(plan->rounds().size(), 2u);
  expect_sound(*plan);
}

TEST(Plan, WithoutAPeerThereIsNone) {
  auto graph = head_graph();
  graph.device = mx::Device(mx::Device::cpu, 7);
  std::string why;
  EXPECT_EQ(
      Plan::make(std::make_shared<const graph::Graph>(graph), &why), nullptr);
  EXPECT_EQ(why, "no peer for the device of the step");
  EXPECT_EQ(
      Plan::make(std::make_shared<const graph::Graph>(graph), nullptr),
      nullptr);
}

} // namespace
} // namespace zmlx::plan
