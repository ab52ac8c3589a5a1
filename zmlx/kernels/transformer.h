#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/lang/functions.h"
#include "zmlx/op/op.h"

/// The gates of feed-forward layers.
namespace zmlx::kernels {

ZMLX_API inline const op::Op swiglu2{
    "swiglu2",
    "silu(gate) up, the gate of Llama-family MLPs",
    [](lang::Define& k) {
      auto gate = k.input("gate"), up = k.input("up");
      k.output(lang::silu(gate) * up);
      k.cases(map_cases(2));
    }};

ZMLX_API inline const op::Op geglu2{
    "geglu2",
    "gelu_tanh(gate) up; exact = 1 takes the erf form",
    [](lang::Define& k) {
      auto gate = k.input("gate"), up = k.input("up");
      const bool exact = k.attribute("exact", 0) != 0;
      k.output((exact ? lang::gelu(gate) : lang::gelu_tanh(gate)) * up);
      auto cases = map_cases(2);
      for (auto c : map_cases(2)) {
        c.attributes = {{"exact", 1}};
        cases.push_back(c);
      }
      k.cases(cases);
    }};

ZMLX_API inline const op::Op swiglu_oai{
    "swiglu_oai",
    "g sigmoid(alpha g) (u + 1), g = min(gate, limit), u = clip(up, -limit, "
    "limit)",
    [](lang::Define& k) {
      auto gate = k.input("gate"), up = k.input("up");
      auto alpha = k.scalar("alpha"), limit = k.scalar("limit");
      auto g = lang::min(gate, limit);
      auto u = lang::max(lang::min(up, limit), -limit);
      k.output_like(g * lang::sigmoid(alpha * g) * (u + 1), gate);
      k.fill(alpha, {lang::Type::F32, 1.7, 1.71});
      k.fill(limit, {lang::Type::F32, 1, 2});
      auto cases = map_cases(2);
      for (auto& c : cases) {
        c.shapes.insert(c.shapes.end(), 2, lang::Shape{});
      }
      k.cases(cases);
    }};

} // namespace zmlx::kernels
