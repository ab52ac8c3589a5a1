#include "zmlx/backend/cpu/loop/loop.h"

#include <mutex>
#include <unordered_map>
#include <vector>

#include "zmlx/backend/cpu/cpu.h"
#include "zmlx/backend/cpu/targets.h"
#include "zmlx/base/errors.h"

#include <hwy/highway.h>

#if ZMLX_ASSEMBLES
#include "zmlx/backend/cpu/loop/assembler.h"
#endif

namespace zmlx::backend::cpu {

bool assembles(lang::Type stored) {
  using lang::Type;
  return stored != Type::F64 && stored != Type::I64 && stored != Type::U64;
}

#if ZMLX_ASSEMBLES

namespace {

// So many loops are kept for those who ask for the same again.
constexpr size_t kMostKept = 1024;

class Assembled : public LoopCode {
 public:
  explicit Assembled(const Loop& loop) : assembler_(loop) {
    assembler_.setProtectModeRE();
    function_ = assembler_.getCode<Function>();
  }

 private:
  LoopAssembler assembler_;
};

using Key = std::vector<uint64_t>;

Key key_of(const Loop& loop) {
  Key key;
  for_each_word(loop, [&](uint64_t word) { key.push_back(word); });
  return key;
}

// Null where the system refuses the memory; all other errors are ours.
std::shared_ptr<const LoopCode> make(const Loop& loop) {
  try {
    return std::make_shared<Assembled>(loop);
  } catch (const Xbyak::Error& error) {
    const int code = error;
    if (code == Xbyak::ERR_CANT_ALLOC || code == Xbyak::ERR_CANT_PROTECT) {
      return nullptr;
    }
    throw internal_error("loop assembler: {}", error.what());
  }
}

// Whether memory may be written and then executed.
bool may_execute() {
  static const bool may = [] {
    Loop nothing;
    return make(nothing) != nullptr;
  }();
  return may;
}

bool has_avx512() {
  return simd_name() == hwy::TargetName(HWY_AVX3);
}

} // namespace

bool assembles() {
  return has_avx512() && may_execute();
}

std::optional<std::string> why_not_assembled() {
  if (!has_avx512()) {
    return "loops of machine code need AVX-512, and the instructions used here "
           "are " +
        simd_name() + ".";
  }
  if (!may_execute()) {
    return "the system lets no memory be written and then executed.";
  }
  return std::nullopt;
}

std::shared_ptr<const LoopCode> assemble(const Loop& loop) {
  static std::mutex mutex;
  static std::unordered_map<Key, std::shared_ptr<const LoopCode>, FieldsHash>
      kept;
  const Key key = key_of(loop);
  const std::lock_guard lock(mutex);
  if (const auto found = kept.find(key); found != kept.end()) {
    return found->second;
  }
  const auto code = make(loop);
  if (code && kept.size() >= kMostKept) {
    kept.clear(); // what runs has its own
  }
  if (code) {
    kept.emplace(key, code);
  }
  return code;
}

#else

bool assembles() {
  return false;
}

bool assembles(const lang::Instruction& /*operation*/) {
  return false;
}

std::optional<std::string> why_not_assembled() {
  return "there is no assembler for this kind of processor.";
}

bool fits(const Loop& /*loop*/) {
  return false;
}

std::shared_ptr<const LoopCode> assemble(const Loop& /*loop*/) {
  return nullptr;
}

std::string listing(const Loop& /*loop*/) {
  return {};
}

#endif // ZMLX_ASSEMBLES

} // namespace zmlx::backend::cpu
