#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/op/op.h"

/// Rows that indices name.
namespace zmlx::kernels {

namespace mx = mlx::core;

/// src (N, D), indices (M,), other (M, D) -> (M, D) in the type of other.
ZMLX_API inline const op::Op gather_add{
    "gather_add",
    "src[indices[m], :] + other[m, :]",
    [](lang::Define& k) {
      auto src = k.input("src", lang::Role::Table);
      auto indices = k.input("indices", lang::Role::EachRow);
      auto other = k.input("other");
      k.output(lang::take(src, indices) + other);
      k.fill(indices, {lang::Type::I32, 0, 4});
      k.cases({
          {"5 rows, (1, 1)", {{5, 1}, {1}, {1, 1}}},
          {"5 rows, (13, 31)", {{5, 31}, {13}, {13, 31}}},
          {"4099 rows, (7, 64)",
           {{4099, 64}, {7}, {7, 64}},
           {},
           {{"indices", {lang::Type::I32, 0, 4098}}}},
          {"5 rows, (0, 8)", {{5, 8}, {0}, {0, 8}}},
          {"5 rows, (3, 0)", {{5, 0}, {3}, {3, 0}}},
          {"9 rows, (33, 1031)", {{9, 1031}, {33}, {33, 1031}}},
          {"255 rows, (256, 256)",
           {{255, 256}, {256}, {256, 256}},
           {},
           {{"indices", {lang::Type::I32, 0, 254}}},
           true},
      });
    },
    [](const std::vector<mx::array>& in, const lang::Attributes&) {
      return std::vector<mx::array>{mx::add(mx::take(in[0], in[1], 0), in[2])};
    }};

/// indices (M,), updates (M, D) -> (rows, D): zeros, and each update added to
/// the row that its index names, in the order of m. Attribute rows.
ZMLX_API inline const op::Op scatter_add{
    "scatter_add",
    "out[indices[m], :] += updates[m, :], from zeros; attribute rows",
    [](lang::Define& k) {
      auto indices = k.input("indices", lang::Role::EachRow);
      auto updates = k.input("updates");
      k.output_rows(updates, indices, k.attribute("rows", 1));
      k.fill(indices, {lang::Type::I32, 0, 4});
      k.cases({
          {"(1, 1) to 5 rows", {{1}, {1, 1}}, {{"rows", 5}}},
          {"(13, 31) to 5 rows", {{13}, {13, 31}}, {{"rows", 5}}},
          {"(40, 64) to 4099 rows",
           {{40}, {40, 64}},
           {{"rows", 4099}},
           {{"indices", {lang::Type::I32, 0, 4098}}}},
          {"(0, 8) to 5 rows", {{0}, {0, 8}}, {{"rows", 5}}},
          {"(3, 0) to 5 rows", {{3}, {3, 0}}, {{"rows", 5}}},
          {"(33, 1031) to 9 rows", {{33}, {33, 1031}}, {{"rows", 9}}},
      });
    },
    [](const std::vector<mx::array>& in, const lang::Attributes& attributes) {
      const int m = in[1].shape(0), d = in[1].shape(1);
      return std::vector<mx::array>{mx::scatter_add(
          mx::zeros(
              {static_cast<int>(attributes.at("rows")), d}, in[1].dtype()),
          in[0],
          mx::reshape(in[1], {m, 1, d}),
          0)};
    }};

} // namespace zmlx::kernels
