#include "zmlx/kernels/product.h"

#include <fmt/format.h>

namespace zmlx::kernels {

void affine_cases(lang::Define& k) {
  struct Size {
    int64_t rows, k, m;
    int bits, group_size;
  };
  std::vector<lang::Case> cases;
  for (const Size& s : std::vector<Size>{
           {1, 64, 1, 4, 64},
           {1, 576, 100, 4, 64},
           {1, 1536, 97, 4, 32},
           {1, 256, 130, 4, 128},
           {3, 192, 31, 8, 64},
           {1, 640, 64, 8, 32},
           {1, 4096, 33, 8, 128},
           {0, 64, 8, 4, 64},
           {19, 128, 40, 4, 32}}) {
    lang::Case c;
    c.name = fmt::format(
        "{}x{} -> {}, {} bits, groups of {}",
        s.rows,
        s.k,
        s.m,
        s.bits,
        s.group_size);
    c.attributes = {
        {"bits", double(s.bits)}, {"group_size", double(s.group_size)}};
    // x, then packed words, scales and biases of each weight.
    c.shapes = {{s.rows, s.k}};
    for (size_t i = 1; i < k.body().inputs.size(); i += 3) {
      c.shapes.push_back({s.m, s.k * s.bits / 32});
      c.shapes.push_back({s.m, s.k / s.group_size});
      c.shapes.push_back({s.m, s.k / s.group_size});
      c.fills[k.body().inputs[i].name] = packed_words();
      c.fills[k.body().inputs[i + 1].name] = {{}, 0.001, 0.01};
      c.fills[k.body().inputs[i + 2].name] = {{}, -0.1, 0};
    }
    cases.push_back(std::move(c));
  }
  k.cases(std::move(cases));
}

} // namespace zmlx::kernels
