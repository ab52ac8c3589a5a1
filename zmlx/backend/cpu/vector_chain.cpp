// Chains: quick float32 operations in one loop, compiled once for each
// instruction set.
#include "zmlx/backend/cpu/vector.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "zmlx/backend/cpu/vector_chain.cpp"
#include "zmlx/backend/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "zmlx/backend/cpu/vector_loops-inl.h"
#include "zmlx/backend/cpu/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace zmlx::backend::cpu::HWY_NAMESPACE {
namespace {

using Floats = hn::ScalableTag<float>;
using Vector = hn::VFromD<Floats>;

// Vectors that take each link together, so that finding out which link it is
// costs little: as many as registers hold of two values.
constexpr int kTogether = HWY_TARGET == HWY_AVX3 ? 8 : 4;

template <int kCount>
struct Vectors {
  Vector of[kCount];
};

// A link with its memory. What one number divides has its reciprocal.
struct Ready {
  Link::Act act;
  bool second;
  bool by_reciprocal;
  const float* from;
  size_t mask;
  float reciprocal;
};

// What a loop knows of its chain, of at most so many links.
template <size_t kMost>
struct Loop {
  static constexpr size_t kLinks = kMost;
  Ready links[kMost];
  size_t size;

  HWY_INLINE void set(const BlockArgs& a, size_t k, Link::Act act) {
    const Link& link = a.chain->links[k];
    Ready& ready = links[k];
    ready.act = act;
    ready.second = link.second;
    ready.from = static_cast<const float*>(a.in[link.operand]);
    ready.mask = a.mask[link.operand];
    ready.by_reciprocal = false;
    if (act == Link::Act::Div && ready.mask == 0) {
      ready.by_reciprocal = divides_by_reciprocal(*ready.from);
      ready.reciprocal = 1 / *ready.from;
    }
  }
};

template <int kCount>
HWY_INLINE void divide(const Ready& link, size_t i, Vectors<kCount>& x) {
  const Floats d;
  const size_t lanes = hn::Lanes(d);
  if (link.by_reciprocal) {
    const Vector y = hn::Set(d, *link.from);
    const Vector reciprocal = hn::Set(d, link.reciprocal);
    for (int k = 0; k < kCount; ++k) {
      x.of[k] = divide_by_one(d, x.of[k], y, reciprocal);
    }
    return;
  }
  for (int k = 0; k < kCount; ++k) {
    const size_t at = (i + k * lanes) & link.mask;
    x.of[k] = hn::Div(x.of[k], hn::LoadU(d, link.from + at));
  }
}

// One link on the vectors from place i on.
template <int kCount>
HWY_INLINE void follow(
    Link::Act act,
    const Ready& link,
    size_t i,
    Vectors<kCount>& x,
    const Vectors<kCount>& other) {
  const Floats d;
  const float* from = link.from + (i & link.mask);
  const size_t stride = hn::Lanes(d) & link.mask;
  // clang-format off
#define ZMLX_EACH(ACT, VALUE)                                        \
  case Link::Act::ACT:                                               \
    for (int k = 0; k < kCount; ++k) {                               \
      [[maybe_unused]] const Vector t = x.of[k], u = other.of[k];    \
      x.of[k] = VALUE;                                               \
    }                                                                \
    break
#define ZMLX_MEMORY hn::LoadU(d, from + k * stride)
  switch (act) {
    ZMLX_EACH(Load, ZMLX_MEMORY);
    ZMLX_EACH(Add, hn::Add(t, ZMLX_MEMORY));
    ZMLX_EACH(Sub, hn::Sub(t, ZMLX_MEMORY));
    ZMLX_EACH(SubFrom, hn::Sub(ZMLX_MEMORY, t));
    ZMLX_EACH(Mul, hn::Mul(t, ZMLX_MEMORY));
    ZMLX_EACH(Square, hn::Mul(t, t));
    ZMLX_EACH(AddOther, hn::Add(t, u));
    ZMLX_EACH(SubOther, hn::Sub(t, u));
    ZMLX_EACH(SubFromOther, hn::Sub(u, t));
    ZMLX_EACH(MulOther, hn::Mul(t, u));
    case Link::Act::Div: divide(link, i, x); break;
  }
#undef ZMLX_MEMORY
#undef ZMLX_EACH
  // clang-format on
}

// Any chain, link by link.
struct AnyChain {
  using Links = Loop<kMaxLinks>;

  static HWY_INLINE Links links(const BlockArgs& a) {
    Links result;
    result.size = a.chain->size;
    for (size_t k = 0; k < result.size; ++k) {
      result.set(a, k, a.chain->links[k].act);
    }
    return result;
  }

  template <int kCount>
  static HWY_INLINE Vectors<kCount> values(const Links& loop, size_t i) {
    const Vector zero = hn::Zero(Floats());
    Vectors<kCount> x, y;
    for (int k = 0; k < kCount; ++k) {
      x.of[k] = y.of[k] = zero;
    }
    for (size_t n = 0; n < loop.size; ++n) {
      const Ready& link = loop.links[n];
      if (link.second) {
        follow(link.act, link, i, y, x);
      } else {
        follow(link.act, link, i, x, y);
      }
    }
    return x;
  }
};

// A chain of one value whose operations the compiler knows.
template <Link::Act... kActs>
struct KnownChain {
  using Links = Loop<sizeof...(kActs)>;

  static HWY_INLINE Links links(const BlockArgs& a) {
    Links result;
    result.size = sizeof...(kActs);
    size_t k = 0;
    (result.set(a, k++, kActs), ...);
    return result;
  }

  template <int kCount>
  static HWY_INLINE Vectors<kCount> values(const Links& loop, size_t i) {
    Vectors<kCount> x;
    for (int k = 0; k < kCount; ++k) {
      x.of[k] = hn::Zero(Floats());
    }
    size_t k = 0;
    (follow(kActs, loop.links[k++], i, x, x), ...);
    return x;
  }
};

// The places after the last whole vector go through memory of our own.
template <typename Of>
HWY_NOINLINE void
last_values(const BlockArgs& a, size_t i, size_t n, float* out) {
  auto loop = Of::links(a);
  Tail<float> memory[Of::Links::kLinks];
  for (size_t k = 0; k < loop.size; ++k) {
    Ready& link = loop.links[k];
    if (link.mask != 0) {
      link.from = memory[k].load(link.from + i, n);
    }
  }
  hn::StoreU(Of::template values<1>(loop, 0).of[0], Floats(), out);
}

// Gives `sink` all vectors in groups, and at last the places that are left.
template <typename Of, int kGroup, typename Sink>
HWY_INLINE void run(const BlockArgs& a, Sink& sink) {
  const size_t lanes = hn::Lanes(Floats()), count = a.n;
  const auto loop = Of::links(a);
  const Fetches<float> fetch(a);
  size_t i = 0;
  for (; i + kGroup * lanes <= count; i += kGroup * lanes) {
    for (int k = 0; k < kGroup; ++k) {
      fetch.at(i + k * lanes);
    }
    sink.put(Of::template values<kGroup>(loop, i), i);
  }
  for (; i + lanes <= count; i += lanes) {
    sink.put(Of::template values<1>(loop, i), i);
  }
  if (i < count) {
    Tail<float> last;
    last_values<Of>(a, i, count - i, last.lanes);
    sink.put_last(last.lanes, i, count - i);
  }
}

struct StoreSink {
  Result<float> out;

  template <int kCount>
  HWY_INLINE void put(const Vectors<kCount>& x, size_t i) {
    const Floats d;
    for (int k = 0; k < kCount; ++k) {
      out.put(d, x.of[k], i + k * hn::Lanes(d));
    }
  }
  HWY_INLINE void put_last(const float* x, size_t i, size_t n) {
    std::memcpy(out.to + i, x, n * sizeof(float));
  }
};

// Interleaved sums of a block, which meet in a fixed order.
template <int kGroup>
struct SumSink {
  Vectors<kGroup> sums;
  double rest = 0;

  template <int kCount>
  HWY_INLINE void put(const Vectors<kCount>& x, size_t) {
    for (int k = 0; k < kCount; ++k) {
      sums.of[k] = hn::Add(sums.of[k], x.of[k]);
    }
  }
  HWY_INLINE void put_last(const float* x, size_t, size_t n) {
    for (size_t k = 0; k < n; ++k) {
      rest += x[k];
    }
  }
};

template <typename T>
struct AccumulateSink {
  T* sums;

  template <int kCount>
  HWY_INLINE void put(const Vectors<kCount>& x, size_t i) {
    for (int k = 0; k < kCount; ++k) {
      add_to(x.of[k], sums + i + k * hn::Lanes(Floats()));
    }
  }
  HWY_INLINE void put_last(const float* x, size_t i, size_t n) {
    for (size_t k = 0; k < n; ++k) {
      sums[i + k] += x[k];
    }
  }

 private:
  static HWY_INLINE void add_to(Vector x, float* to) {
    const Floats d;
    hn::StoreU(hn::Add(hn::LoadU(d, to), x), d, to);
  }
  static HWY_INLINE void add_to(Vector x, double* to) {
#if HWY_TARGET == HWY_SCALAR
    *to += hn::GetLane(x);
#else
    const hn::Half<Floats> half;
    const hn::Rebind<double, decltype(half)> wide;
    const auto low = hn::PromoteTo(wide, hn::LowerHalf(half, x));
    const auto high = hn::PromoteTo(wide, hn::UpperHalf(half, x));
    double* next = to + hn::Lanes(wide);
    hn::StoreU(hn::Add(hn::LoadU(wide, to), low), wide, to);
    hn::StoreU(hn::Add(hn::LoadU(wide, next), high), wide, next);
#endif
  }
};

// What is done with the values; kFew vectors together hide the time that a sum
// takes.
struct StoreValues {
  static constexpr int kFew = 2;
  template <typename Of, int kGroup>
  static void run_block(const BlockArgs& a) noexcept {
    StoreSink sink{Result<float>(a)};
    run<Of, kGroup>(a, sink);
  }
};

struct SumValues {
  static constexpr int kFew = 4;
  template <typename Of, int kGroup>
  static void run_block(const BlockArgs& a) noexcept {
    SumSink<kGroup> sink;
    for (Vector& sum : sink.sums.of) {
      sum = hn::Zero(Floats());
    }
    run<Of, kGroup>(a, sink);
    auto& s = sink.sums.of;
    for (int half = kGroup / 2; half > 0; half /= 2) {
      for (int k = 0; k < half; ++k) {
        s[k] = hn::Add(s[k], s[k + half]);
      }
    }
    static_cast<Accumulator*>(a.out)->real +=
        sum_of_lanes(Floats(), s[0]) + sink.rest;
  }
};

template <typename T>
struct AccumulateValues {
  static constexpr int kFew = 2;
  template <typename Of, int kGroup>
  static void run_block(const BlockArgs& a) noexcept {
    AccumulateSink<T> sink{static_cast<T*>(a.out)};
    run<Of, kGroup>(a, sink);
  }
};

template <typename Use, Link::Act... kActs>
BlockOp known() {
  return &Use::template run_block<KnownChain<kActs...>, Use::kFew>;
}

// a first b, then second c.
template <typename Use, Link::Act kFirst>
BlockOp known_after(Link::Act second) {
  using Act = Link::Act;
  // clang-format off
  switch (second) {
    case Act::Add: return known<Use, Act::Load, kFirst, Act::Add>();
    case Act::Sub: return known<Use, Act::Load, kFirst, Act::Sub>();
    case Act::SubFrom: return known<Use, Act::Load, kFirst, Act::SubFrom>();
    case Act::Mul: return known<Use, Act::Load, kFirst, Act::Mul>();
    case Act::Square: return known<Use, Act::Load, kFirst, Act::Square>();
    default: return nullptr;
  }
  // clang-format on
}

template <typename Use>
BlockOp known_of(const Chain& chain) {
  using Act = Link::Act;
  const auto& links = chain.links;
  if (chain.size == 1) {
    return known<Use, Act::Load>();
  }
  if (chain.size == 2 && links[1].act == Act::Mul) {
    return known<Use, Act::Load, Act::Mul>();
  }
  if (chain.size != 3 || links[2].second) {
    return nullptr;
  }
  switch (links[1].act) {
    case Act::Add:
      return known_after<Use, Act::Add>(links[2].act);
    case Act::Sub:
      return known_after<Use, Act::Sub>(links[2].act);
    case Act::Mul:
      return known_after<Use, Act::Mul>(links[2].act);
    default:
      return nullptr;
  }
}

// The commonest chains have loops of their own.
template <typename Use>
BlockOp loop_of(const Chain& chain) {
  const BlockOp own = known_of<Use>(chain);
  return own ? own : &Use::template run_block<AnyChain, kTogether>;
}

BlockOp chain_store(const Chain& chain) {
  return loop_of<StoreValues>(chain);
}

BlockOp chain_sum(const Chain& chain) {
  return loop_of<SumValues>(chain);
}

BlockOp chain_accumulate(const Chain& chain) {
  return loop_of<AccumulateValues<double>>(chain);
}

BlockOp chain_accumulate_floats(const Chain& chain) {
  return loop_of<AccumulateValues<float>>(chain);
}

} // namespace
} // namespace zmlx::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace zmlx::backend::cpu {

HWY_EXPORT(chain_store);
HWY_EXPORT(chain_sum);
HWY_EXPORT(chain_accumulate);
HWY_EXPORT(chain_accumulate_floats);

BlockOp find_chain(const Chain& chain) {
  return HWY_DYNAMIC_DISPATCH(chain_store)(chain);
}

BlockOp find_chain_sum(const Chain& chain) {
  return HWY_DYNAMIC_DISPATCH(chain_sum)(chain);
}

BlockOp find_chain_accumulate(const Chain& chain) {
  return HWY_DYNAMIC_DISPATCH(chain_accumulate)(chain);
}

BlockOp find_chain_accumulate_floats(const Chain& chain) {
  return HWY_DYNAMIC_DISPATCH(chain_accumulate_floats)(chain);
}

} // namespace zmlx::backend::cpu
#endif // HWY_ONCE
