// Loops as people read them.
#include <cstdlib>
#include <sstream>
#include <string>

#include "tests/backend/cpu/loops.h"

namespace zmlx::backend::cpu {
namespace {

using lang::Op;
using lang::Type;

Loop gated() {
  LoopMaker make;
  const int gate = make.each(Type::BF16), up = make.each(Type::F32);
  const int soft = make.operation(Op::Sigmoid, gate);
  make.store(make.operation(Op::Mul, soft, up), Type::BF16);
  make.reduce(Op::Sum, soft);
  return make.loop;
}

TEST(LoopListing, SaysWhatIsComputed) {
  ZMLX_NEEDS_ASSEMBLER();
  const std::string text = listing(gated());
  for (const char* line :
       {"  v0 is bfloat16 of memory 0\n",
        "  v1 is float32 of memory 1\n",
        "  v2 is sigmoid(v0)\n",
        "  v3 is v2 * v1\n",
        "  reduce v2\n",
        "  store v3 to memory 2\n",
        "  a turn of 32 places\n",
        "  a turn of at most 16 places\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

// The bytes that are listed are all that the loop has, each once.
TEST(LoopListing, HasAllBytes) {
  ZMLX_NEEDS_ASSEMBLER();
  std::istringstream lines(listing(gated()));
  size_t promised = 0, found = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with("bytes of code")) {
      promised = std::stoul(line);
    } else if (line.starts_with("        ")) {
      found += (line.size() - 7) / 3;
    } else if (promised > 0) {
      EXPECT_EQ(std::stoul(line, nullptr, 16), found) << line;
    }
  }
  EXPECT_GT(promised, 500U);
  EXPECT_EQ(found, promised);
}

} // namespace
} // namespace zmlx::backend::cpu
