// The text of every kernel of the catalogue that there is text for is accepted
// by NVRTC, which needs no GPU, with warnings as errors: all of it for sm_90a,
// that of bfloat16 for other architectures and layouts.

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/cuda_text/catalogue.h"
#include "zmlx/backend/cuda/dialect.h"
#include "zmlx/backend/cuda/nvrtc.h"
#include "zmlx/backend/cuda/parts.h"
#include "zmlx/backend/cuda/schedule.h"
#include "zmlx/backend/cuda/source.h"
#include "zmlx/base/errors.h"

namespace zmlx::cuda_text {
namespace {

namespace cuda = backend::cuda;
namespace cfamily = backend::cfamily;

/// The texts of all parts of a program, and those that finish its sums.
std::vector<std::string> texts_of(const Listed& listed) {
  std::vector<std::string> texts;
  for (const auto& part :
       cuda::parts_of(listed.program, listed.inputs, listed.outputs)) {
    const auto bound = cfamily::bind(
        part.program,
        listed.inputs,
        listed.outputs,
        cuda::most_places(part.program),
        part.sums);
    const auto threads = cuda::choose_threads(part.program, bound, {});
    texts.push_back(cuda::source(part.program, bound.layout, threads).source);
    for (size_t i = 0; i < listed.outputs.size(); ++i) {
      if (bound.layout.outputs[i].summed) {
        texts.push_back(cfamily::finish_text(
                            part.program,
                            static_cast<int>(i),
                            false,
                            {.block = 256},
                            cuda::dialect())
                            .source);
      }
    }
  }
  return texts;
}

/// Of all types, or of `type` alone.
void compile_all(
    const std::vector<std::string>& layouts,
    const std::string& architecture,
    const std::string& type) {
  std::set<std::string> done;
  std::map<std::string, std::set<std::string>> refused;
  for_each_listed(layouts, [&](const Listed& listed) {
    if (listed.name.find(type) == std::string::npos) {
      return;
    }
    if (const auto why = cuda::without_text(listed.program)) {
      refused[*why].insert(listed.name.substr(0, listed.name.find(',')));
      return;
    }
    SCOPED_TRACE(listed.name);
    try {
      for (const auto& text : texts_of(listed)) {
        if (!done.insert(text).second) {
          continue;
        }
        EXPECT_EQ(cuda::compile_text(text, architecture).warnings, "");
      }
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  });
  for (const auto& [why, names] : refused) {
    std::printf("%s: %zu kernels\n", why.c_str(), names.size());
  }
  std::printf("%zu texts\n", done.size());
}

class Architectures : public testing::TestWithParam<std::string> {};

TEST_P(Architectures, AcceptTheTextOfTheCatalogue) {
  compile_all({"dense"}, GetParam(), GetParam() == "sm_90a" ? "" : "bfloat16");
}

INSTANTIATE_TEST_SUITE_P(
    Cuda,
    Architectures,
    testing::Values("sm_80", "sm_90a", "sm_100", "sm_120"));

TEST(Layouts, HaveTextThatCompiles) {
  compile_all({"transposed", "offset", "broadcast"}, "sm_90a", "bfloat16");
}

} // namespace
} // namespace zmlx::cuda_text
