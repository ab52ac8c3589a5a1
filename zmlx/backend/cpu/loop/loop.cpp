#include "zmlx/backend/cpu/loop/loop.h"

#include <mutex>
#include <unordered_map>
#include <vector>

#include "zmlx/backend/cpu/targets.h"
#include "zmlx/backend/cpu/vector.h"

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

std::shared_ptr<const LoopCode> make(const Loop& loop) {
  try {
    return std::make_shared<Assembled>(loop);
  } catch (const Xbyak::Error&) {
    return nullptr;
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

} // namespace

bool assembles() {
  // Asking the machine again each time would take long.
  return vector_target() == hwy::TargetName(HWY_AVX3) && may_execute();
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
  if (kept.size() >= kMostKept) {
    kept.clear(); // what runs has its own
  }
  return kept.emplace(key, make(loop)).first->second;
}

#else

bool assembles() {
  return false;
}

bool assembles(const lang::Instruction& /*operation*/) {
  return false;
}

std::shared_ptr<const LoopCode> assemble(const Loop& /*loop*/) {
  return nullptr;
}

#endif // ZMLX_ASSEMBLES

} // namespace zmlx::backend::cpu
