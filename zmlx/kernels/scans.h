#pragma once

#include "zmlx/kernels/cases.h"
#include "zmlx/op/op.h"

/// Running sums on the last axis.
namespace zmlx::kernels {

namespace mx = mlx::core;

/// y[i] is the sum of x[0 .. i]; with reverse = 1 of x[i .. D - 1]; with
/// exclusive = 1 without x[i] itself. Sums of floats are within the
/// bounds that measure/tolerance.h has for rows; integers wrap.
ZMLX_API inline const op::Op cumsum_lastdim{
    "cumsum_lastdim",
    "running sum of each row; attributes reverse, exclusive",
    [](lang::Define& k) {
      using lang::ScanOrder;
      auto x = k.input("x");
      const bool reverse = k.attribute("reverse", 0) != 0;
      const bool exclusive = k.attribute("exclusive", 0) != 0;
      k.output(lang::cumsum(
          x,
          reverse
              ? (exclusive ? ScanOrder::ReverseExclusive : ScanOrder::Reverse)
              : (exclusive ? ScanOrder::ForwardExclusive
                           : ScanOrder::Forward)));
      k.cases(scan_cases());
    },
    [](const std::vector<mx::array>& in, const lang::Attributes& attributes) {
      return std::vector<mx::array>{mx::cumsum(
          in[0],
          -1,
          attributes.at("reverse") != 0,
          attributes.at("exclusive") == 0)};
    }};

} // namespace zmlx::kernels
