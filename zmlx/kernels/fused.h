#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/lang/functions.h"
#include "zmlx/op/op.h"

/// Element-wise kernels of several inputs; broadcasting as MLX.
namespace zmlx::kernels {

ZMLX_API inline const op::Op add{"add", "a + b", [](lang::Define& k) {
                                   auto a = k.input("a"), b = k.input("b");
                                   k.output(a + b);
                                   k.cases(map_cases(2));
                                 }};

ZMLX_API inline const op::Op mul{"mul", "a b", [](lang::Define& k) {
                                   auto a = k.input("a"), b = k.input("b");
                                   k.output(a * b);
                                   k.cases(map_cases(2));
                                 }};

ZMLX_API inline const op::Op silu_mul{
    "silu_mul",
    "silu(a) b",
    [](lang::Define& k) {
      auto a = k.input("a"), b = k.input("b");
      k.output(lang::silu(a) * b);
      k.cases(map_cases(2));
    }};

ZMLX_API inline const op::Op silu_mul_residual{
    "silu_mul_residual",
    "silu(gate) up + residual",
    [](lang::Define& k) {
      auto gate = k.input("gate"), up = k.input("up");
      k.output(lang::silu(gate) * up + k.input("residual"));
      k.cases(map_cases(3));
    }};

ZMLX_API inline const op::Op add_bias{
    "add_bias",
    "x + bias, bias (D,)",
    [](lang::Define& k) {
      auto x = k.input("x"), bias = k.input("bias");
      k.output(x + bias);
      k.cases(row_cases(1, 1));
    }};

ZMLX_API inline const op::Op bias_silu{
    "bias_silu",
    "silu(x + bias), bias (D,)",
    [](lang::Define& k) {
      auto x = k.input("x"), bias = k.input("bias");
      k.output(lang::silu(x + bias));
      k.cases(row_cases(1, 1));
    }};

ZMLX_API inline const op::Op bias_gelu_tanh{
    "bias_gelu_tanh",
    "gelu_tanh(x + bias), bias (D,)",
    [](lang::Define& k) {
      auto x = k.input("x"), bias = k.input("bias");
      k.output(lang::gelu_tanh(x + bias));
      k.cases(row_cases(1, 1));
    }};

} // namespace zmlx::kernels
